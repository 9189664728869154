"""The pre-training methods and ablations, and what each changes in the block ``pretrain``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from rs3l.config.base import Overrides
from rs3l.config.campaign import Campaign
from rs3l.config.losses import own_losses
from rs3l.config.pretrain import Pretrain
from rs3l.imported import is_path
from rs3l.runs import BASELINE, is_baseline

READY: dict[str, Overrides] = {
    "rs3l": {},
    "rs3l_plus": {"augment": True},
    "jetclr": {"views": "hand_made"},
    "jetclr_all": {"views": "hand_made", "hand_made": {"of": "any"}},
    "supcon": {"loss": "sup_con"},
    "mpm": {"loss": "masked"},
    "multiclass": {"loss": "multi_class"},
    "jepa": {"loss": "jepa", "on_collapse": "warn"},
    "jetclr_paper": {
        "views": "hand_made",
        "hand_made": {"drop": 0.0, "pt_jitter": 0.0, "charge_flip": False, "smear_displacement": False},
        "encoder": {
            "kind": "transformer",
            "hidden": 128,
            "heads": 4,
            "layers": 4,
            "representation": 128,
            "latent": 128,
        },
        "displacement": False,
        "temperature": 0.1,
        "batch": 128,
        "constituents": 50,
        "learning_rate": 5e-5,
        "weight_decay": 0.0,
        "loop": {"optimizer": "adam", "schedule": "step", "step_factor": 1.0},
    },
}
"""Methods that a list may name, with what they change; a mapping by name adds further changes on top."""

KeyPath = tuple[str, ...]


def method_overrides(config: Campaign) -> dict[str, Overrides]:
    """Return what each method of the campaign changes."""
    methods = config.pretrain.methods
    own: Mapping[str, Overrides] = methods if isinstance(methods, dict) else {name: {} for name in methods}
    return {name: _merged(READY.get(name, {}), changes) for name, changes in own.items()}


def ablation_overrides(config: Campaign) -> dict[str, Overrides]:
    """Return what each ablation changes; one that is named like a ready method changes that first."""
    return {name: _merged(READY.get(name, {}), changes) for name, changes in config.ablations.items()}


def methods(config: Campaign) -> dict[str, Pretrain]:
    """Return the settings of each method of the campaign, in order."""
    return {name: overridden(config.pretrain, changes) for name, changes in method_overrides(config).items()}


def ablations(config: Campaign) -> dict[str, Pretrain]:
    """Return the settings of each ablation, in order."""
    return {name: overridden(config.pretrain, changes) for name, changes in ablation_overrides(config).items()}


def overridden(base: Pretrain, changes: Overrides) -> Pretrain:
    """Return ``base`` with ``changes`` made block by block; an encoder of another kind replaces that of ``base``.

    Raises pydantic's ``ValidationError`` if they do not fit.
    """
    return Pretrain.model_validate({**_merged(base.model_dump(exclude={"methods"}), changes), "methods": ["rs3l"]})


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``changes``, block by block; losses are no block, and replace those of ``base``."""
    merged = {key: value if key == "loss" else _replaced(base.get(key), value) for key, value in changes.items()}
    return {**base, **merged}


def _replaced(old: Any, value: Any) -> Any:
    if not isinstance(old, Mapping) or not isinstance(value, Mapping):
        return value
    return _merged(old, value) if value.get("kind", old.get("kind")) == old.get("kind") else value


def own_parts(config: Campaign) -> list[str]:
    """Return the import paths of all encoders, losses and augmentations that come from other packages."""
    found = [
        path
        for settings in (*methods(config).values(), *ablations(config).values())
        if settings.model is None
        for path in (settings.encoder.kind, *own_losses(settings.loss), settings.hand_made.own or "")
    ]
    return list(dict.fromkeys(path for path in found if is_path(path)))


def variants(config: Campaign, settings: Pretrain) -> list[str]:
    """Return the variants that are views under ``settings``, in the order of the campaign."""
    return [
        name
        for name, variant in config.variants.items()
        if variant.use == "train" and (settings.variants is None or name in settings.variants)
    ]


def same_baseline(first: Pretrain, second: Pretrain) -> bool:
    """Return whether the classifiers without pre-training are the same in both.

    These classifiers know no latent, no view and no loss.
    """
    return _network(first) == _network(second)


def _network(settings: Pretrain) -> tuple[Any, ...]:
    encoder = {**settings.encoder.model_dump(), "latent": None}
    return encoder, settings.constituents, settings.displacement


def override_problems(config: Campaign) -> Iterator[tuple[KeyPath, Any]]:
    """Yield path and problem (pydantic's, or a text) of everything that is wrong in methods and ablations."""
    named = isinstance(config.pretrain.methods, dict)
    for path, changes in _entries(config):
        name = path[-1]
        if not named and path[0] == "pretrain" and name not in READY:
            yield path[:-1], f"no ready method {name!r}; known: {', '.join(READY)}; or give a mapping by name"
            continue
        try:
            settings = overridden(config.pretrain, changes)
        except ValidationError as error:
            yield from ((path, problem) for problem in error.errors())
            continue
        yield from ((path, text) for text in _problems(config, name, changes, settings))
        if path[0] == "ablations" and "on_collapse" in config.ablations[name]:
            yield path, "on_collapse: an ablation always warns, for it must not end the others; remove it"
    for name in sorted(set(config.ablations) & set(method_overrides(config))):
        yield ("ablations", name), "is a method of pretrain.methods, too; rename it"
    yield from ((("pretrain",), text) for text in _base_problems(config))


def _entries(config: Campaign) -> Iterator[tuple[KeyPath, Overrides]]:
    yield from ((("pretrain", "methods", name), changes) for name, changes in method_overrides(config).items())
    yield from ((("ablations", name), changes) for name, changes in ablation_overrides(config).items())


def _problems(config: Campaign, name: str, changes: Overrides, settings: Pretrain) -> Iterator[str]:
    if is_baseline(name):
        yield f"names that begin with {BASELINE!r} are those of the baselines; rename it"
    if "methods" in changes:
        yield "methods: a method cannot hold methods; remove it"
    if settings.model is not None and len(changes) > 1:
        others = ", ".join(key for key in changes if key != "model")
        yield f"{others}: without effect on the finished `model`; remove it"
    yield from _variant_problems(config, settings)


def _variant_problems(config: Campaign, settings: Pretrain) -> Iterator[str]:
    for name in settings.variants or []:
        if name not in config.variants:
            yield f"variants: no variant {name!r}; known: {', '.join(config.variants)}"
        elif config.variants[name].use == "held_out":
            yield f"variants: {name!r} has `use: held_out` and cannot be a view"
    chosen = variants(config, settings)
    if settings.views == "hand_made" or settings.model is not None:
        return
    if len(chosen) < 2:
        names = ", ".join(chosen) or "none"
        yield (
            f"variants: {names} gives no two views of an event; add one, e.g. seed, or make views by hand "
            "(`views: hand_made`, as the method jetclr)"
        )
    if settings.views == "nominal_and_one" and "nominal" not in chosen:
        yield "variants: `views: nominal_and_one` needs nominal; add it"


def _base_problems(config: Campaign) -> Iterator[str]:
    if config.pretrain.model is not None:
        yield "model: belongs into a method, e.g. methods: {rs3l: {}, published: {model: ...}}"
    if not all(_views_by_hand(config.pretrain, changes) for changes in method_overrides(config).values()):
        yield from _variant_problems(config, config.pretrain)


def _views_by_hand(base: Pretrain, changes: Overrides) -> bool:
    """Return whether a method draws no re-simulated views."""
    return changes.get("views", base.views) == "hand_made" or changes.get("model") is not None
