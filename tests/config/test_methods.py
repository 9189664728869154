"""Methods and ablations: typed overrides, names of runs, and blocks that hold what they depend on."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rs3l.config import Campaign, blocks, methods, parse_campaign
from rs3l.config.capacity import check_capacity
from rs3l.config.encoders import DeepSets, EdgeConv
from rs3l.errors import ConfigError

Values = dict[str, Any]


def campaign_with(
    values: Values, chosen: Any = None, ablations: Values | None = None, **pretrain: Any
) -> Campaign:
    result = copy.deepcopy(values)
    result["pretrain"] |= pretrain | ({} if chosen is None else {"methods": chosen})
    return parse_campaign({**result, "ablations": ablations or {}})


def test_a_list_is_the_short_form_of_a_mapping(test_values: Values) -> None:
    short = campaign_with(test_values, ["rs3l", "jetclr", "supcon"])
    named = campaign_with(test_values, {"rs3l": {}, "jetclr": {}, "supcon": {}})
    long = campaign_with(test_values, {"rs3l": {}, "a": {"views": "hand_made"}, "b": {"loss": "sup_con"}})
    assert blocks.runs(short) == blocks.runs(named) == ["rs3l_s0", "jetclr_s0", "supcon_s0"]
    for run, other in (("rs3l_s0", "rs3l_s0"), ("jetclr_s0", "a_s0"), ("supcon_s0", "b_s0")):
        block = blocks.pretrain(short, run)
        assert block == blocks.pretrain(named, run) == blocks.pretrain(long, other)
    assert blocks.pretrain(short, "jetclr_s0").hand_made == short.pretrain.hand_made
    assert blocks.pretrain(short, "rs3l_s0").hand_made is None
    assert blocks.pretrain(short, "supcon_s0").loss == "sup_con"


def test_ready_methods_treat_views_alike(test_values: Values) -> None:
    config = campaign_with(test_values, {"rs3l": {}, "rs3l_plus": {}, "jetclr_all": {"hand_made": {"drop": 0.5}}})
    plain, plus, every = (blocks.pretrain(config, f"{name}_s0") for name in ("rs3l", "rs3l_plus", "jetclr_all"))
    assert (plus.augment, plus.augmented, plus.views) == (True, None, plain.views)
    assert plus.hand_made == config.pretrain.hand_made
    assert (every.augment, every.augmented, every.method) == (False, "any", "jetclr")
    assert every.hand_made is not None and every.hand_made.drop == 0.5, "changes of a ready method add to it"
    assert not every.needs_nominal and not plus.needs_nominal
    assert blocks.evaluate(config).views["jetclr_all"] == blocks.evaluate(config).views["rs3l"]


def test_new_keys_leave_the_blocks_of_others_as_they_were(test_values: Values) -> None:
    for run in ("rs3l_s0", "jetclr_s0"):
        dumped = blocks.pretrain(campaign_with(test_values, ["rs3l", "jetclr"]), run).model_dump()
        assert "augment" not in dumped and "of" not in (dumped["hand_made"] or {})


def test_augmented_hand_made_views_are_refused(test_values: Values) -> None:
    with pytest.raises(ConfigError, match="augment: true is for re-simulated views"):
        campaign_with(test_values, {"twice": {"views": "hand_made", "augment": True}})


def test_overrides_reach_the_block_of_their_run_alone(test_values: Values) -> None:
    ablations = {
        "seed_only": {"variants": ["nominal", "seed"], "seeds": 2},
        "wide": {"encoder": {"latent": 16}, "temperature": 0.5},
        "edge": {"encoder": {"kind": "edgeconv", "latent": 4}},
        "fewer": {"events": 0.25, "epochs": 3},
        "blind": {"displacement": False},
    }
    plain, config = campaign_with(test_values), campaign_with(test_values, ablations=ablations)
    assert blocks.ablation_runs(config) == [
        "seed_only_s0", "seed_only_s1", "wide_s0", "edge_s0", "fewer_s0", "blind_s0",
    ]  # fmt: skip
    base = blocks.pretrain(config, "rs3l_s0")
    assert base == blocks.pretrain(plain, "rs3l_s0")
    changed = {
        "seed_only_s1": {"variants": ["nominal", "seed"], "seed": base.seed + 1},
        "wide_s0": {"encoder": DeepSets(hidden=32, representation=32, latent=16), "temperature": 0.5},
        "edge_s0": {"encoder": EdgeConv(kind="edgeconv", latent=4)},
        "fewer_s0": {"events": 0.25, "epochs": 3},
        "blind_s0": {"displacement": False},
    }
    for run, changes in changed.items():
        assert blocks.pretrain(config, run) == base.model_copy(update={**changes, "on_collapse": "warn"})


def test_an_ablation_may_be_a_ready_method(test_values: Values) -> None:
    config = campaign_with(test_values, ["rs3l"], {"jetclr_all": {"epochs": 3}, "jepa": {}})
    method = campaign_with(test_values, {"rs3l": {}, "jetclr_all": {"epochs": 3}, "jepa": {}})
    for run in ("jetclr_all_s0", "jepa_s0"):
        as_method = blocks.pretrain(method, run).model_copy(update={"on_collapse": "warn"})
        assert blocks.pretrain(config, run) == as_method


def test_ablations_change_no_block_of_the_campaign(test_values: Values) -> None:
    plain = campaign_with(test_values)
    config = campaign_with(test_values, ablations={"blind": {"displacement": False}})
    assert blocks.evaluate(config) == blocks.evaluate(plain)
    assert blocks.merge(config) == blocks.merge(plain) and blocks.figures(config) == blocks.figures(plain)
    for run in (*blocks.runs(plain), *blocks.baselines(plain)):
        assert blocks.finetune(config, "h_vs_qcd", run) == blocks.finetune(plain, "h_vs_qcd", run)
    assert set(blocks.every_run(config)) - set(blocks.every_run(plain)) == {"blind_s0", "none_blind_s0"}


def test_other_networks_have_a_baseline_of_their_own(test_values: Values) -> None:
    chosen = {"rs3l": {}, "blind": {"displacement": False}, "blind_again": {"displacement": False, "epochs": 3}}
    ablations = {"latent": {"encoder": {"latent": 3}}, "edge": {"encoder": {"kind": "edgeconv"}}}
    config = campaign_with(test_values, chosen, ablations)
    assert blocks.baselines(config) == ["none", "none_blind_s0"], "latent and epochs change no supervised network"
    assert blocks.ablation_baselines(config) == ["none_edge_s0"]
    block = blocks.finetune(config, "h_vs_qcd", "none_blind_s0")
    assert block.baseline and not block.displacement and block.encoder == config.pretrain.encoder
    assert blocks.finetune(config, "h_vs_qcd", "none").displacement
    assert blocks.finetune(config, "h_vs_qcd", "none_edge_s0").encoder == EdgeConv(kind="edgeconv")
    modes = [blocks.finetune(config, "h_vs_qcd", run).finetune.modes for run in ("none", "none_blind_s0")]
    assert modes[0] == [*modes[1], "gbt", "n2"], "those know no network: once is enough"
    alone = config.finetune.model_copy(update={"modes": ["probe_h", "gbt"]})
    assert blocks.baselines(config.model_copy(update={"finetune": alone})) == ["none"]


def test_a_finished_model_is_not_pre_trained(test_values: Values) -> None:
    config = campaign_with(test_values, {"rs3l": {}, "published": {"model": "p/q.safetensors"}}, seeds=3)
    assert blocks.runs(config) == ["rs3l_s0", "rs3l_s1", "rs3l_s2", "published_s0"]
    assert blocks.imported_model(config, "published_s0") == "p/q.safetensors"
    assert blocks.baselines(config) == ["none"]
    block = blocks.finetune(config, "h_vs_qcd", "published_s0")
    assert block.encoder is None and block.constituents is None
    with pytest.raises(ConfigError, match="no run 'published_s0'"):
        blocks.pretrain(config, "published_s0")


def test_a_job_knows_its_modes_alone(test_values: Values) -> None:
    values = {
        **test_values,
        "finetune": {**test_values["finetune"], "modes": ["tuned", "mlp_h", "gbt", "scratch"]},
    }
    config = parse_campaign(values)
    assert blocks.finetune(config, "h_vs_qcd", "rs3l_s0").finetune.modes == ["tuned", "mlp_h"]
    assert blocks.finetune(config, "h_vs_qcd", "none").finetune.modes == ["gbt", "scratch"]


def test_ablations_may_have_fewer_modes(test_values: Values) -> None:
    values = copy.deepcopy(test_values)
    values["finetune"]["modes"] = ["probe_h", "tuned", "gbt", "scratch"]
    ablations = {"edge": {"encoder": {"kind": "edgeconv"}}}
    plain = campaign_with(values, ablations=ablations)
    values["finetune"]["ablation_modes"] = ["probe_h", "gbt"]
    config = campaign_with(values, ablations=ablations)
    assert blocks.finetune(config, "h_vs_qcd", "edge_s0").finetune.modes == ["probe_h"]
    assert blocks.ablation_baselines(plain) == ["none_edge_s0"] and blocks.ablation_baselines(config) == []
    for run in (*blocks.runs(plain), *blocks.baselines(plain)):
        assert blocks.finetune(config, "h_vs_qcd", run) == blocks.finetune(plain, "h_vs_qcd", run)


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        (["gbt"], "finetune.ablation_modes: none with pre-training; add one of probe_h"),
        (["probe_h", "mlp_z"], "finetune.ablation_modes: mlp_z is not among finetune.modes; add it there too"),
        (["probe_h", "probe_h"], "finetune.ablation_modes: probe_h is there twice"),
    ],
)
def test_wrong_modes_of_ablations_are_named(test_values: Values, modes: list[str], expected: str) -> None:
    values = copy.deepcopy(test_values)
    values["finetune"]["ablation_modes"] = modes
    with pytest.raises(ConfigError) as error:
        check_capacity(campaign_with(values))
    assert expected in str(error.value)


def test_the_evaluation_knows_what_each_method_has_seen(test_values: Values) -> None:
    ablations = {"seed_only": {"variants": ["nominal", "seed"]}, "published": {"model": "a.safetensors"}}
    config = campaign_with(test_values, ["jetclr", "rs3l"], ablations)
    assert blocks.evaluate(config).subject == "jetclr"
    assert blocks.evaluate(config).views == {"jetclr": ["nominal"], "rs3l": list(config.variants)}
    block = blocks.evaluate_ablations(config)
    assert block.runs == ["jetclr_s0", "seed_only_s0", "published_s0", "none"]
    assert block.views["seed_only"] == ["nominal", "seed"] and block.views["published"] == []


@pytest.mark.parametrize(
    ("chosen", "ablations", "expected"),
    [
        ({"rs3l": {"temperture": 1}}, {}, "pretrain.methods.rs3l.temperture: unknown key; did you mean `temperature`?"),
        ({"rs3l": {"temperature": -1}}, {}, "pretrain.methods.rs3l.temperature: a number above 0 is expected, found -1"),
        (None, {"x": {"encoder": {"hiden": 3}}}, "ablations.x.encoder.hiden: unknown key; did you mean `hidden`?"),
        (None, {"x": {"views": "all"}}, "ablations.x: views: all gives an event more than two views"),
        (None, {"x": {"events": 1.5}}, "ablations.x.events"),
        (None, {"x": {"methods": ["rs3l"]}}, "ablations.x: methods: a method cannot hold methods"),
        (None, {"x": {"variants": ["nominal", "sed"]}}, "ablations.x: variants: no variant 'sed'; known: nominal, seed"),
        (None, {"x": {"variants": ["seed"]}}, "ablations.x: variants: seed gives no two views of an event"),
        (None, {"x": {"variants": ["seed", "fsr_hi"], "views": "nominal_and_one"}}, "ablations.x: variants: `views: nominal_and_one` needs nominal"),
        (None, {"rs3l": {}}, "ablations.rs3l: is a method of pretrain.methods, too"),
        (None, {"none_x": {}}, "ablations.none_x: names that begin with 'none'"),
        (None, {"x": {"model": "a.safetensors", "epochs": 3}}, "ablations.x: epochs: without effect on the finished `model`"),
        (None, {"x": {"model": "$(touch y).safetensors"}}, "ablations.x.model: "),
        (["rs3l", "simclr"], {}, "pretrain.methods: no ready method 'simclr'; known: rs3l, rs3l_plus, jetclr, jetclr_all, supcon"),
    ],
)  # fmt: skip
def test_each_mistake_is_named(test_values: Values, chosen: Any, ablations: Values, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        campaign_with(test_values, chosen, ablations)
    assert expected in str(error.value)


def test_held_out_variants_and_models_stay_out_of_the_base(test_values: Values) -> None:
    values = copy.deepcopy(test_values)
    values["variants"]["fsr_hi"]["use"] = "held_out"
    with pytest.raises(ConfigError, match=r"ablations\.x: variants: 'fsr_hi' has `use: held_out`"):
        campaign_with(values, ablations={"x": {"variants": ["nominal", "seed", "fsr_hi"]}})
    with pytest.raises(ConfigError, match=r"pretrain: model: belongs into a method"):
        campaign_with(test_values, model="a.safetensors")


def test_a_mode_with_pretraining_is_needed_and_one_without_is_not(test_values: Values) -> None:
    with pytest.raises(ConfigError, match=r"finetune\.modes: none with pre-training; add one of probe_h, probe_z"):
        parse_campaign({**test_values, "finetune": {"modes": ["scratch"]}})
    config = parse_campaign({**test_values, "finetune": {"modes": ["tuned"]}})
    assert blocks.baselines(config) == []
    assert blocks.evaluate(config).runs == blocks.runs(config)


def test_ready_methods_are_valid(test_values: Values) -> None:
    config = campaign_with(test_values, list(methods.READY))
    assert list(methods.methods(config)) == list(methods.READY)
