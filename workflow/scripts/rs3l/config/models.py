"""The campaign's configuration: typed, bounded, unknown keys refused.

The JSON schema for editors (``config/schema.json``) is generated from these classes. Units are GeV, mm
and radians; every field's description is what ``config/README.md`` shows.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import string
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rs3l.paths import SPLITS, Split
from rs3l.seeds import PYTHIA_MAX_SEED

_NAME = r"^[a-z][a-z0-9_]{0,39}$"
_PYTHIA_KEY = r"^[A-Za-z0-9]+:[A-Za-z0-9:()\-+]+$"
_MODEL_PATH = r"^[\w./+@][\w./+@=,-]*\.safetensors$"
_FOLDER_PATH = r"^[\w./+@][\w./+@=,-]*$"
PATTERNS = {
    _NAME: "a name (small letters, digits and _, 40 at most; the first is a letter)",
    _PYTHIA_KEY: "a setting of Pythia (Group:name)",
    _MODEL_PATH: "the path of a .safetensors file (letters, digits and . / _ + @ = , -)",
    _FOLDER_PATH: "the path of a folder (letters, digits and . / _ + @ = , -)",
}
"""What each pattern of text means, in words."""

Name = Annotated[str, StringConstraints(pattern=_NAME)]
PythiaKey = Annotated[str, StringConstraints(pattern=_PYTHIA_KEY)]
PythiaValue = bool | int | float | str
PythiaSettings = dict[PythiaKey, PythiaValue]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
SampleKind = Literal["merged", "mcatnlo", "powheg", "short"]
Verdict = Literal["stop", "warn"]
Overrides = dict[str, Any]
"""Keys of the block `pretrain` that a method or an ablation changes; typed by :mod:`rs3l.config.methods`."""
ModelPath = Annotated[str, StringConstraints(pattern=_MODEL_PATH)]

PLACEHOLDERS = ("lhe", "out", "seed", "seeds", "init_seed", "events", "process", "folder")
"""What the command of an external generator may name, besides its settings."""

GENERATOR_CUT_REACH = 0.8
"""Largest pt_hat.min / jets.pt_min: above it, the generator cut shapes the spectrum of the accepted jets."""

LARGEST_ECM = 1e6
"""Largest energy of a collision [GeV]; a larger one was meant in MeV."""

MASSES = {6: 173.0, 23: 91.0, 24: 80.0, 25: 125.0}
"""Masses of anchors [GeV], for the energy that a process needs at least."""

_SHOWER_GROUPS = (
    "Tune:", "PDF:", "Beams:", "PartonShowers:", "TimeShower:", "SpaceShower:", "SigmaProcess:",
    "MultipartonInteractions:", "BeamRemnants:", "Vincia:", "PartonLevel:", "PhaseSpace:", "ColourReconnection:",
)  # fmt: skip

SHAREABLE_GROUPS = (
    "StringFlav:", "StringZ:", "StringPT:", "StringFragmentation:", "FragmentationSystems:",
    "MiniStringFragmentation:", "HadronLevel:", "ParticleDecays:", "BoseEinstein:",
)  # fmt: skip
"""Settings that need nothing but the parton level's final record, which another Pythia can make.

Not among them: the thermal model and close packing, which remember the events before (Pythia 8.317).
"""


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
NO_NUMBER = "true and false are no numbers"
_EXPONENT = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+")


def with_numbers(value: Any, annotation: Any) -> Any:
    """Return a key's value with the numbers that are text in YAML 1.1 (1.2e2), if the key takes numbers.

    Raises ``ValueError`` for true and false where a number is expected; it would take them for 1 and 0.
    """
    kinds = _kinds(annotation)
    if isinstance(value, list):
        inner = [get_args(kind)[0] for kind in kinds if get_origin(kind) is list]
        return [with_numbers(entry, inner[0]) for entry in value] if inner else value
    if isinstance(value, dict) and PythiaSettings in kinds:
        return {k: float(v) if isinstance(v, str) and _EXPONENT.fullmatch(v) else v for k, v in value.items()}
    numeric = bool({int, float} & set(kinds)) and str not in kinds
    if numeric and isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)
    if numeric and isinstance(value, bool) and bool not in kinds:
        raise ValueError(NO_NUMBER)
    return value


def _printable(text: str) -> str:
    """Return a label; raises ``ValueError`` for control characters, which no SVG and no HTML may have."""
    if _CONTROL.search(text):
        raise ValueError("a label has no control characters")
    return text


@cache
def _kinds(annotation: Any) -> tuple[Any, ...]:
    """Return the alternatives of a type, without their constraints."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (types.UnionType, typing.Union):
        return tuple(inner for kind in get_args(annotation) for inner in _kinds(kind))
    return (annotation,)


class Block(BaseModel):
    """Base of every block: immutable, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Take 1.2e2 for a number, which YAML 1.1 takes for text, and true for none."""
        if not isinstance(value, str | bool | list | dict):
            return value
        return with_numbers(value, cls.model_fields[str(info.field_name)].annotation)

    def as_json(self) -> str:
        """Return the block as JSON in ASCII alone, which the command line of any locale carries."""
        return _BEYOND_ASCII.sub(lambda match: json.dumps(match.group())[1:-1], self.model_dump_json())


class Generator(Block):
    """What all processes and variants share."""

    ecm: float = Field(
        13000.0, gt=0, description="Centre-of-mass energy of the pp collision [GeV]; 13 TeV is 13000."
    )
    tune: str | None = Field(
        None,
        description="A tune of config/tunes, whose settings come before those of `pythia`; without it, Monash.",
    )
    pythia: PythiaSettings = Field(
        {"ParticleDecays:limitTau0": True, "ParticleDecays:tau0Max": 10.0},
        description="Pythia settings of every hard process and variant.",
    )


class PtHat(Block):
    """Range and sampling of the transverse momentum of the hard 2->2 process."""

    min: float = Field(gt=0, description="Lower generator cut [GeV]; at most 0.8 of jets.pt_min.")
    max: float | None = Field(None, gt=0, description="Upper generator cut [GeV]; none by default.")
    bias_power: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Hard events are drawn with probability x (pT/min)^power; the weight that undoes this "
        "is carried to the data set. 0: no bias.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max is not None and self.max <= self.min:
            raise ValueError(f"max ({self.max:g} GeV) must exceed min ({self.min:g} GeV)")
        return self


class Process(Block):
    """One hard process: simulated once, then re-simulated under every variant."""

    like: str | None = Field(
        None, description="A ready process of config/processes: its keys are the defaults of those below."
    )
    about: str = Field("", description="What it is, in words; no effect.")
    label: Annotated[str, AfterValidator(_printable)] = Field(
        min_length=1, description="Class name in tables and figures, e.g. H, QCD, W."
    )
    events: int = Field(
        gt=0,
        le=PYTHIA_MAX_SEED,
        description="Number of hard events. Each has a seed of its own, and Pythia knows 900,000,000.",
    )
    use: Literal["pretrain", "downstream"] = Field(
        "pretrain",
        description="pretrain: used everywhere. downstream: never seen in pre-training, only in tasks.",
    )
    pt_hat: PtHat | None = Field(
        None, description="Range and sampling of the hard 2->2 process; needed, unless `lhe` is given."
    )
    pythia: PythiaSettings = Field(
        {},
        description="Pythia settings that select the process and its decays; needed, unless `lhe` is given. "
        "With `lhe`: of the decays of resonances that the files leave undecayed.",
    )
    lhe: str | list[str] = Field(
        [],
        description="Hard events from Les Houches files instead of Pythia: a path, a pattern, or a list of them, "
        "relative to the working directory; an existing path is taken as it is. The first `events` events of the "
        "sorted files are used.",
    )
    lhe_accept: list[SampleKind] = Field(
        [],
        description="Kinds of files in `lhe` that are refused unless they are named here; docs/hard.md says what "
        "each means for the shower.",
    )
    anchor: Literal["outgoing_parton"] | list[int] = Field(
        description="The hard particle that the jet is matched to: PDG codes (either sign) of a resonance, "
        "or outgoing_parton: the coloured parton of a boson + jet process."
    )
    anchor_choice: Literal["unique", "alternate"] = Field(
        "unique",
        description="Where a hard event has several such particles: unique refuses it; alternate takes the first, "
        "the second ... in turn, from event to event (dijets, top pairs).",
    )

    @field_validator("events", mode="before")
    @classmethod
    def _one_seed_each(cls, value: Any) -> Any:
        if isinstance(value, int) and value > PYTHIA_MAX_SEED:
            raise ValueError(
                f"{value} hard events, but Pythia knows {PYTHIA_MAX_SEED:,} seeds, and more would be copies "
                "of others; lower it, or make two processes of it (of different ranges of pt_hat, say)"
            )
        return value

    @property
    def lhe_patterns(self) -> list[str]:
        """Paths and patterns of the external files; empty for a process of Pythia."""
        return [self.lhe] if isinstance(self.lhe, str) else self.lhe

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.lhe_patterns and self.pt_hat:
            raise ValueError("`lhe` replaces `pt_hat`: the cuts are those of the files; leave either out")
        if not self.lhe_patterns and not (self.pythia and self.pt_hat):
            raise ValueError("needs `pt_hat` and `pythia` (hard events by Pythia), or `lhe` (from files)")
        if self.lhe_accept and not self.lhe_patterns:
            raise ValueError("`lhe_accept` belongs to `lhe`, which is missing")
        return self


class GeneratorCommand(Block):
    """A program that showers Les Houches events and writes HepMC3: the whole simulation but detector and jets."""

    command: str = Field(
        min_length=1,
        description="Command line, run without a shell. Placeholders: {lhe} (events to read), {out} (HepMC3 to "
        "write), {seed} (of the shard), {seeds} (table of seeds per event), {init_seed} (the same in all shards), "
        "{events}, {process}, {folder} (scratch), and the keys of `settings`.",
    )
    settings: dict[Name, bool | int | float | str] = Field(
        {}, description="Values for further placeholders of the command."
    )
    files: list[str] = Field(
        [], description="Files that the command reads; an edit of one runs the variant again."
    )
    version: str = Field(
        "", description="Version of the program, as you like to write it; a change runs it again."
    )
    timeout: float = Field(60.0, gt=0, description="Longest run time of a shard [min]; the command is then ended.")
    match: Literal["number", "partons"] = Field(
        "number",
        description="How its events are assigned to the hard events: by their number, or by the momenta of the "
        "hard partons, which its records must then hold.",
    )
    first_number: int = Field(0, description="Number that the program gives to the first event of a file.")
    max_failed: Fraction = Field(0.05, description="A larger fraction of missing events stops the job.")

    @model_validator(mode="after")
    def _placeholders(self) -> Self:
        try:
            words = shlex.split(self.command)
            used = {name for word in words for _, name, _, _ in string.Formatter().parse(word) if name is not None}
        except ValueError as error:
            raise ValueError(f"the command cannot be read: {error}") from None
        known = {*PLACEHOLDERS, *self.settings}
        if taken := set(PLACEHOLDERS) & set(self.settings):
            raise ValueError(f"settings may not be called {', '.join(sorted(taken))}")
        if unknown := used - known:
            raise ValueError(
                f"unknown placeholder {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))} (a brace is "
                "written twice)"
            )
        if missing := {"lhe", "out", "seed"} - used - ({"lhe", "seed"} if "seeds" in used else set()):
            raise ValueError(f"the command needs the placeholder {', '.join(sorted(missing))}")
        if unused := set(self.settings) - used:
            raise ValueError(f"settings without a placeholder: {', '.join(sorted(unused))}; they have no effect")
        return self


class Variant(Block):
    """One re-simulation of every hard event."""

    like: str | None = Field(
        None, description="A ready variant of config/variants: its keys are the defaults of those below."
    )
    about: str = Field("", description="What it probes, in words; no effect.")
    reference: str = Field("", description="Where it is described; no effect.")
    cost: float = Field(
        1.0, gt=0, description="Core time per event relative to the nominal; for `make plan` alone."
    )
    resample: Literal["shower", "hadronisation", "detector"] | None = Field(
        None,
        description="First stage with random numbers of its own; earlier stages are those of the nominal, "
        "to the bit. Only the nominal leaves it out.",
    )
    pythia: PythiaSettings = Field({}, description="Pythia settings on top of the nominal ones.")
    generator: GeneratorCommand | None = Field(
        None, description="Another generator in place of Pythia, for everything after the hard process."
    )
    use: Literal["train", "held_out"] = Field(
        "train", description="held_out: in the data set, but never a view in pre-training or a label."
    )
    splits: list[Split] = Field(
        list(SPLITS), min_length=1,
        description="Splits whose hard events are re-simulated; the others are rows with status 4. A variant with "
        "`use: held_out` needs the test split alone, which saves the cost of the others.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _generator_replaces_pythia(self) -> Self:
        if self.generator is not None and self.resample != "shower":
            raise ValueError("a `generator` makes everything after the hard process: it needs `resample: shower`")
        if self.generator is not None and self.pythia:
            raise ValueError("`pythia` has no effect on another `generator`: use its `settings`")
        return self

    @property
    def is_complete(self) -> bool:
        """Whether the hard events of all splits are re-simulated."""
        return set(self.splits) == set(SPLITS)

    @model_validator(mode="after")
    def _only_held_out_variants_leave_splits_out(self) -> Self:
        if not self.is_complete and self.use != "held_out":
            raise ValueError("only a variant with `use: held_out` may leave out `splits`: it is not trained on")
        return self

    @model_validator(mode="after")
    def _settings_belong_to_a_resampled_stage(self) -> Self:
        if self.pythia and self.resample in (None, "detector"):
            raise ValueError(
                f"pythia settings need `resample: shower` or `resample: hadronisation`, not {self.resample}"
            )
        if self.resample == "hadronisation":
            for key in self.pythia:
                if key.lower().startswith(tuple(map(str.lower, _SHOWER_GROUPS))):  # as Pythia reads it
                    raise ValueError(
                        f"pythia.{key} changes the shower, which `resample: hadronisation` shares with the "
                        "nominal: use `resample: shower`"
                    )
        return self


class Resolution(Block):
    """Width of a Gaussian, constant (+) slope cosh(eta)^eta_power / pT^pt_power in quadrature."""

    constant: float = Field(ge=0, description="Constant term [mm].")
    slope: float = Field(ge=0, description="Multiple-scattering term [mm GeV^pt_power].")
    eta_power: float = Field(0.0, ge=0, le=3, description="0: the same at every eta of the track.")
    pt_power: float = Field(1.0, ge=0, le=2, description="Power of the track's pT.")


class Calorimeter(Block):
    """What counts as a neutral candidate in a cell: energy beyond that of the tracks that end there."""

    energy_min: float = Field(ge=0, description="Smallest energy [GeV].")
    significance_min: float = Field(2.0, ge=0, description="Smallest energy in units of its resolution.")


class Detector(Block):
    """Response to the stable particles, before jets are clustered; its numbers are in docs/resim.md."""

    response: Literal["none", "cms"] = Field(
        "none",
        description="none: particles as they are; impact parameters are smeared. cms: tracking efficiency and "
        "resolution, calorimeter cells and resolution, particle-flow candidates.",
    )
    d0: Resolution = Field(
        Resolution(constant=0.020, slope=0.060),
        description="Transverse impact parameter of tracks; constant and slope 0 switch the smearing off. With "
        "`response: cms` the default is 0.011, 0.075, eta_power 0.5, pt_power 0.75.",
    )
    dz: Resolution = Field(
        Resolution(constant=0.030, slope=0.080),
        description="Longitudinal impact parameter. With `response: cms` the default is 0.031, 0.084, "
        "eta_power 1.5, pt_power 0.6.",
    )
    tracker_radius: float = Field(
        600.0, gt=0, description="cms: the tracking efficiency falls to 0 at this radius of production [mm]."
    )
    ecal: Calorimeter = Field(Calorimeter(energy_min=0.5), description="cms: photons.")
    hcal: Calorimeter = Field(Calorimeter(energy_min=1.0), description="cms: neutral hadrons.")

    @model_validator(mode="before")
    @classmethod
    def _impact_parameters_of_cms(cls, values: Any) -> Any:
        """Give `response: cms` its own defaults: fits to figure 15 of arXiv:1405.6569."""
        if isinstance(values, dict) and values.get("response") == "cms":
            return {"d0": _CMS_D0, "dz": _CMS_DZ, **values}
        return values


_CMS_D0 = Resolution(constant=0.011, slope=0.075, eta_power=0.5, pt_power=0.75)
_CMS_DZ = Resolution(constant=0.031, slope=0.084, eta_power=1.5, pt_power=0.6)


class Jets(Block):
    """Clustering, selection and matching of the jet."""

    algorithm: Literal["antikt", "cambridge", "kt"] = Field("antikt", description="FastJet algorithm.")
    radius: float = Field(0.8, gt=0, le=2, description="Jet radius, and the largest distance to the anchor.")
    pt_min: float = Field(300.0, gt=0, description="Smallest jet pT [GeV].")
    eta_max: float = Field(2.5, gt=0, le=5, description="Largest |eta| of the jet.")
    mass_min: float = Field(10.0, ge=0, description="Smallest jet mass [GeV].")
    constituents: int = Field(100, gt=0, le=1000, description="Candidates kept, by descending pT.")
    soft_drop_zcut: float = Field(0.1, gt=0, lt=0.5, description="Soft-drop zcut (arXiv:1402.2657).")
    soft_drop_beta: float = Field(0.0, ge=0, description="Soft-drop beta.")
    substructure: bool = Field(
        True, description="Compute N2, tau21 and tau32 (0.15-0.45 ms per event); without, they are NaN."
    )


class Splits(Block):
    """Fractions of the hard events; an event is in one split with all its views."""

    train: Fraction = Field(0.65, description="Pre-training and labels.")
    val: Fraction = Field(0.10, description="Every choice: best epoch, regularisation.")
    test: Fraction = Field(0.25, description="Results only.")

    def at(self, position: float) -> Split:
        """Return the split of an event at a position in [0, 1)."""
        if position < self.train:
            return "train"
        return "val" if position < self.train + self.val else "test"

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if not math.isclose(self.train + self.val + self.test, 1.0, abs_tol=1e-9):
            raise ValueError(f"train + val + test is {self.train + self.val + self.test:g}, not 1")
        return self


class Dataset(Block):
    """How the jets are merged."""

    splits: Splits = Splits()
    min_views: int = Field(1, ge=1, description="Events with fewer matched views are left out.")
    events_per_part: int = Field(
        20_000, gt=0, description="Hard events per part (one file per split); independent of the shards."
    )
    events_per_row_group: int = Field(2_000, gt=0, description="Hard events per row group.")


class DeepSets(Block):
    """DeepSets (arXiv:1703.06114): a network per candidate, pooling, a network per jet, and a projection head."""

    kind: Literal["deepsets"] = Field("deepsets", description="Which network.")
    hidden: int = Field(64, gt=0, description="Width of the layers per candidate.")
    representation: int = Field(128, gt=0, description="Dimension of the representation h.")
    latent: int = Field(8, gt=1, description="Dimension of the latent z, in which the loss acts.")


class EdgeConv(Block):
    """The network of RS3L (arXiv:2403.07066): three edge convolutions, a sum over candidates, a network per jet.

    With the defaults it is the paper's, of 128,904 weights.
    """

    kind: Literal["edgeconv"] = Field(description="Which network.")
    hidden: int = Field(128, ge=4, description="Width of the layers per candidate, and dimension of h, their sum.")
    neighbours: int = Field(24, ge=1, description="Nearest neighbours of a candidate, itself among them.")
    latent: int = Field(8, gt=1, description="Dimension of the latent z, in which the loss acts.")
    standardise: bool = Field(False, description="Standardise the inputs; the paper takes them as they are.")
    candidate_pt_min: float = Field(
        0.0,
        ge=0,
        description="Candidates of a lower pT are not shown to the network [GeV]; for published weights, which "
        "know no broad d0 of soft tracks.",
    )

    @property
    def representation(self) -> int:
        """Dimension of the representation h."""
        return self.hidden


class Transformer(Block):
    """Self-attention among the candidates and a class token, a network per jet, and a projection head."""

    kind: Literal["transformer"] = Field(description="Which network.")
    hidden: int = Field(64, gt=0, description="Width of the states of the candidates; a multiple of heads.")
    heads: int = Field(4, gt=0, description="Attention heads.")
    layers: int = Field(3, gt=0, description="Attention blocks.")
    pairwise: bool = Field(
        False, description="Bias the attention by the kinematics of each pair (arXiv:2202.03772)."
    )
    representation: int = Field(128, gt=0, description="Dimension of the representation h.")
    latent: int = Field(8, gt=1, description="Dimension of the latent z, in which the loss acts.")

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        return self


def _encoder_kind(value: object) -> object:
    """Return the kind of an encoder's block; without one it is a DeepSets."""
    if isinstance(value, Mapping):
        return value.get("kind", "deepsets")
    return getattr(value, "kind", None)


Encoder = Annotated[
    Annotated[DeepSets, Tag("deepsets")]
    | Annotated[EdgeConv, Tag("edgeconv")]
    | Annotated[Transformer, Tag("transformer")],
    Discriminator(
        _encoder_kind,
        custom_error_type="encoder_kind",
        custom_error_message="kind must be deepsets, edgeconv or transformer",
    ),
]
"""The network, chosen by ``kind``."""


class VicReg(Block):
    """Weights of VICReg's three terms (arXiv:2105.04906, eq. 6)."""

    invariance: float = Field(25.0, ge=0, description="Weight lambda of the squared distance of the two views.")
    variance: float = Field(25.0, ge=0, description="Weight mu of the hinge on each dimension's deviation.")
    covariance: float = Field(1.0, ge=0, description="Weight nu of the squared covariances of the dimensions.")


class Loop(Block):
    """How pre-training goes through its steps; docs/pretrain.md has the paper's settings."""

    optimizer: Literal["adamw", "adam"] = Field(
        "adamw", description="adam: `weight_decay` is added to the gradient; the paper has none."
    )
    schedule: Literal["one_cycle", "cosine", "step"] = Field(
        "one_cycle",
        description="Of the learning rate. one_cycle: up to `learning_rate` and down. cosine: down from it to 0. "
        "step: times `step_factor` every `step_epochs`, as the paper.",
    )
    step_epochs: int = Field(50, ge=1, description="Epochs between two steps of `schedule: step`.")
    step_factor: float = Field(0.5, gt=0, le=1, description="Factor of each step of `schedule: step`.")
    clip: float | None = Field(
        None, gt=0, description="Largest norm of the gradient; longer ones are scaled down."
    )
    precision: Literal["float32", "bf16"] = Field(
        "float32",
        description="bf16: the network in bfloat16 where that is safe (autocast), weights and loss in float32. "
        "Only for hardware that has it: elsewhere it is many times slower.",
    )
    compile: bool = Field(False, description="torch.compile. On CPUs it takes minutes and gains little.")
    bucket_pool: int = Field(
        0,
        ge=0,
        description="Batches whose events are sorted by length before they are cut, so that less is padding; 0: "
        "not sorted. Events of a batch are then alike in multiplicity: use many.",
    )
    stream: Literal["auto"] | bool = Field(
        "auto",
        description="true: read row groups as they are needed, never the whole data set. false: all of it in "
        "memory. auto: in memory up to 1,000,000 jets of the train split. Both are exact; they differ in order.",
    )


class HandMadeViews(Block):
    """JetCLR's augmentations (arXiv:2108.04253, section 3.2) and five more, the peer of re-simulation."""

    soft_smearing: float = Field(0.1, ge=0, description="Scale of the angular smearing, sigma = scale / pT [GeV].")
    collinear_splits: int = Field(8, ge=0, description="Candidates of each jet that are split in two.")
    drop: Fraction = Field(0.25, description="Probability that a candidate is dropped.")
    pt_jitter: float = Field(0.10, ge=0, description="Relative Gaussian width of the pT jitter.")
    charge_flip: bool = Field(True, description="Flip the sign of all charges in half of the views.")
    smear_displacement: bool = Field(True, description="Smear d0 and dz once more.")


class Pretrain(Block):
    """Contrastive pre-training."""

    methods: list[Name] | dict[Name, Overrides] = Field(
        ["rs3l", "jetclr"],
        min_length=1,
        description="What is pre-trained: ready methods (rs3l: this block as it is; jetclr: `views: hand_made`; "
        "supcon: `loss: sup_con`), or by name the keys of this block that a method changes.",
    )
    seeds: int = Field(2, ge=1, le=100, description="Pre-training runs per method.")
    model: ModelPath | None = Field(
        None,
        description="In a method or an ablation, and alone there: a model file (import_model.py) that is used as "
        "it is, without pre-training.",
    )
    encoder: Encoder = Field(DeepSets(), description="The network, chosen by kind; deepsets by default.")
    variants: list[Name] | None = Field(
        None, description="Variants that are views; by default all with `use: train`, to which it is confined."
    )
    views: Literal["any_two", "nominal_and_one", "all", "hand_made"] = Field(
        "any_two",
        description="Views of an event that are compared, drawn anew each epoch. any_two: two re-simulations. "
        "nominal_and_one: the nominal and one other, as RS3L. all: every one; needs a loss for more than two. "
        "hand_made: two augmentations of the nominal jet.",
    )
    events: Annotated[int, Field(ge=2)] | Annotated[float, Field(gt=0, le=1)] | None = Field(
        None,
        description="Training events, as a number or (up to 1.0) a fraction; by default all. The number of steps "
        "stays that of all events.",
    )
    displacement: bool = Field(
        True, description="Whether networks see d0 and dz; without, their baselines do not see them either."
    )
    loss: Literal["nt_xent", "multi_view", "sup_con", "vicreg"] = Field(
        "nt_xent",
        description="nt_xent: SimCLR's, for two views. multi_view: the same over all pairs of views of an "
        "event. sup_con: supervised, positives are all jets of the same process: a baseline that uses "
        "every label. vicreg: without negatives, for two views.",
    )
    temperature: float = Field(0.1, gt=0, description="Temperature tau of all losses but VICReg.")
    vicreg: VicReg = VicReg()
    batch: int = Field(256, ge=2, description="Events per step (pairs, with two views).")
    epochs: int = Field(20, ge=1, description="Passes over the events with at least two views.")
    learning_rate: float = Field(2e-3, gt=0, description="Learning rate: the peak of the one-cycle schedule.")
    weight_decay: float = Field(1e-4, ge=0, description="Weight decay of the optimizer.")
    constituents: int = Field(64, gt=0, description="Candidates per jet that the networks see, by descending pT.")
    hand_made: HandMadeViews = HandMadeViews()
    loop: Loop = Loop()
    on_collapse: Verdict = Field(
        "stop",
        description="What a collapse does (docs/pretrain.md). stop: the run ends with an error. warn: it goes on, "
        "marked wherever its numbers appear. Ablations always warn. A loss that is not finite always stops. "
        "A change re-runs nothing.",
    )

    @model_validator(mode="after")
    def _loss_takes_the_views(self) -> Self:
        if self.views == "all" and self.loss in ("nt_xent", "vicreg"):
            raise ValueError(
                f"views: all gives an event more than two views, and loss: {self.loss} compares two; use "
                "loss: multi_view or sup_con, or views: any_two"
            )
        return self


class Task(Block):
    """A binary classification, of processes or of jet types (e.g. quark against gluon jets of one process)."""

    signal: Name = Field(description="Process of the signal.")
    background: Name = Field(description="Process of the background.")
    signal_types: list[str] | None = Field(
        None, min_length=1, description="Jet types of the signal (docs/merge.md); by default all of its process."
    )
    background_types: list[str] | None = Field(
        None, min_length=1, description="Jet types of the background; by default all of its process."
    )
    labels: list[Annotated[int, Field(ge=10)]] | None = Field(
        None,
        min_length=1,
        description="Numbers of labelled hard events of this task, in place of `finetune.labels`.",
    )

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.signal == self.background:
            if self.signal_types is None or self.background_types is None:
                raise ValueError(f"signal and background are both {self.signal!r}; name the jet types of both")
            if both := set(self.signal_types) & set(self.background_types):
                raise ValueError(f"jet types {', '.join(sorted(both))} are signal and background")
        return self


PretrainedMode = Literal["probe_h", "probe_z", "mlp_h", "mlp_z", "tuned", "tuned_z", "tuned_mlp", "tuned_views"]
BaselineMode = Literal["random", "scratch", "scratch_mlp", "scratch_views", "gbt", "n2"]
Mode = Literal[PretrainedMode, BaselineMode]
OBSERVABLE_MODES = ("gbt", "n2")
"""Baselines without a network."""
VIEW_MODES = ("tuned_views", "scratch_views")
"""Modes that are trained on all re-simulated views of the labelled events."""
PRETRAINED_MODES: tuple[PretrainedMode, ...] = get_args(PretrainedMode)
BASELINE_MODES: tuple[BaselineMode, ...] = get_args(BaselineMode)


class Finetune(Block):
    """Classifiers on the pre-trained network, and their baselines."""

    modes: list[Mode] = Field(
        ["probe_h", "probe_z", "tuned", "random", "scratch", "scratch_views", "gbt", "n2"],
        min_length=1,
        description="Classifiers, in words in docs/finetune.md: those on a pre-trained network (probe_h, probe_z, "
        "mlp_h, mlp_z, tuned, tuned_z, tuned_mlp, tuned_views) and those without one (the others).",
    )
    labels: list[Annotated[int, Field(ge=10)]] = Field(
        [100, 300, 1000], min_length=1, description="Numbers of labelled hard events, half of them signal."
    )
    repeats: int = Field(3, ge=1, le=100, description="Draws of the labels and of the initialisation.")
    batch: int = Field(64, ge=2, description="Jets per step of the trained networks.")
    learning_rate: float = Field(1e-3, gt=0, description="Learning rate from scratch (AdamW).")
    tune_learning_rate: float = Field(1e-4, gt=0, description="Learning rate of fine-tuning.")
    weight_decay: float = Field(1e-4, ge=0, description="Weight decay of AdamW.")
    patience: int = Field(10, ge=1, description="Epochs without a better validation loss before a training stops.")
    min_steps: int = Field(100, ge=0, description="Optimiser steps before a training may stop.")
    max_epochs: int = Field(
        400, ge=2, description="A training that may not stop here yet is under-trained, which is an error."
    )
    on_undertrained: Verdict = Field(
        "stop",
        description="What an under-trained network does. stop: an error, for such a baseline flatters its rivals. "
        "warn: its best epoch is used, and marked wherever its numbers appear. Ablations always warn. A change "
        "re-runs nothing.",
    )


class Evaluate(Block):
    """Metrics on the test split."""

    variants: list[Name] = Field(
        ["nominal"], min_length=1,
        description="Variants whose test jets are scored for AUC and rejection. Those that share the "
        "nominal physics (seed, rehadron) add statistics; errors are bootstrapped over hard events.",
    )  # fmt: skip
    pair: tuple[Name, Name] = Field(
        ("nominal", "seed"), description="The two showers of the paired score correlation."
    )
    efficiencies: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.3, 0.5, 0.7], min_length=1, description="Signal efficiencies of the background rejection."
    )
    change_efficiencies: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.5, 0.6, 0.7, 0.8, 0.9],
        min_length=1,
        description="Signal efficiencies at which the false-positive rate is compared between variants.",
    )
    bootstrap: int = Field(200, ge=2, description="Bootstrap replicas over hard events.")


class Campaign(Block):
    """A campaign: processes x variants, and what is learned from them."""

    campaign: Name = Field(description="Name; results go to <results>/<campaign>.")
    results: str = Field("results", pattern=_FOLDER_PATH, description="Folder of all campaigns.")
    seed: int = Field(20240311, ge=0, lt=2**63, description="Root of every random number.")
    events_per_shard: int = Field(gt=0, description="Hard events per job; no effect on the data set.")
    share_shower: bool = Field(
        False,
        description="One job per shard for the nominal and all variants that resample the hadronisation or the "
        "detector: its shower is made once for all. No effect on the data set; fewer and cheaper jobs, but a new "
        "variant of this kind runs all of them again.",
    )
    generator: Generator = Generator()
    processes: dict[Name, Process] = Field(min_length=1)
    variants: dict[Name, Variant] = Field(min_length=1)
    detector: Detector = Detector()
    jets: Jets = Jets()
    dataset: Dataset = Dataset()
    pretrain: Pretrain = Pretrain()
    tasks: dict[Name, Task] = Field(min_length=1)
    finetune: Finetune = Finetune()
    evaluate: Evaluate = Evaluate()
    ablations: dict[Name, Overrides] = Field(
        {},
        description="Further pre-trainings by name, as the keys of `pretrain` that each changes. The target "
        "`ablations` alone makes them.",
    )

    @model_validator(mode="after")
    def _check_across_blocks(self) -> Self:
        problems = [
            *_variant_problems(self.variants),
            *_energy_problems(self.generator.ecm, self.processes, self.jets),
            *_cut_problems(self.processes, self.jets),
            *_detector_problems(self.variants, self.detector),
            *(_share_problems(self.variants) if self.share_shower else []),
            *_reference_problems(self),
            *_mode_problems(self.finetune),
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def root(self) -> str:
        """Folder of this campaign's files."""
        return f"{self.results}/{self.campaign}"


def _variant_problems(variants: Mapping[str, Variant]) -> list[str]:
    problems = []
    if "nominal" not in variants:
        problems.append("variants.nominal: missing; add `nominal: {}`")
    for name, variant in variants.items():
        if (name == "nominal") != (variant.resample is None):
            problems.append(
                f"variants.{name}.resample: every variant but `nominal` says from which stage it is "
                "resampled (shower, hadronisation or detector), and nominal says none"
            )
    if variants.get("nominal", Variant()).use != "train":
        problems.append("variants.nominal.use: the nominal cannot be held out")
    if sum(v.use == "train" for v in variants.values()) < 2:
        problems.append("variants: pre-training needs two variants with `use: train`; add one, e.g. seed")
    return problems


def _energy_problems(ecm: float, processes: Mapping[str, Process], jets: Jets) -> list[str]:
    """Every process must reach its jets: an anchor of that pT, and something that recoils from it."""
    if ecm > LARGEST_ECM:
        return [f"generator.ecm: {ecm:g} GeV is beyond any collider; the key is in GeV: 13 TeV is 13000"]
    problems = []
    for name, process in processes.items():
        pt = max(jets.pt_min, process.pt_hat.min if process.pt_hat else 0.0)
        codes = [] if process.anchor == "outgoing_parton" else process.anchor
        threshold = pt + math.hypot(pt, min((MASSES.get(abs(int(code)), 0.0) for code in codes), default=0.0))
        if ecm <= threshold:
            problems.append(
                f"generator.ecm: {ecm:g} GeV is not enough for the jets of processes.{name}, which need more than "
                f"{threshold:.0f} GeV (twice a pT of {pt:g} GeV, and the mass of the anchor); the key is in GeV: "
                "13 TeV is 13000"
            )
    return problems


def _cut_problems(processes: Mapping[str, Process], jets: Jets) -> list[str]:
    limit = GENERATOR_CUT_REACH * jets.pt_min
    cuts = {name: process.pt_hat for name, process in processes.items() if process.pt_hat is not None}
    problems = [
        f"processes.{name}.pt_hat.min: {cut.min:g} GeV is above {GENERATOR_CUT_REACH:g} x "
        f"jets.pt_min ({jets.pt_min:g} GeV), so that the generator cut would shape the jets; lower it to "
        f"{limit:g} GeV or less (two thirds of the jet cut is usual), or raise jets.pt_min"
        for name, cut in cuts.items()
        if cut.min > limit
    ]
    problems += [
        f"processes.{name}.pt_hat.max: {cut.max:g} GeV is not above jets.pt_min "
        f"({jets.pt_min:g} GeV): hardly any jet would pass; raise it or remove it"
        for name, cut in cuts.items()
        if cut.max is not None and cut.max <= jets.pt_min
    ]
    return problems


def _detector_problems(variants: Mapping[str, Variant], detector: Detector) -> list[str]:
    smeared = any(width.constant > 0 or width.slope > 0 for width in (detector.d0, detector.dz))
    if detector.response != "none" or smeared:
        return []
    return [
        f"variants.{name}.resample: the detector draws no random number (response: none, no smearing of d0 and "
        "dz), so that this variant is the nominal; set detector.response: cms, or remove the variant"
        for name, variant in variants.items()
        if variant.resample == "detector"
    ]


def _share_problems(variants: Mapping[str, Variant]) -> list[str]:
    after_shower = [v for v in variants.values() if v.resample in ("hadronisation", "detector")]
    if not after_shower:
        return ["share_shower: no variant has `resample: hadronisation` or `detector`; remove it"]
    return [
        f"variants.{name}.pythia.{key}: with `share_shower`, only these groups may differ from the nominal's: "
        f"{', '.join(group.rstrip(':') for group in SHAREABLE_GROUPS)}; use `resample: shower`, or remove "
        "`share_shower`"
        for name, variant in variants.items()
        if variant.resample == "hadronisation"
        for key in variant.pythia
        if not key.startswith(SHAREABLE_GROUPS)
    ]


def _mode_problems(finetune: Finetune) -> list[str]:
    return [
        f"finetune.modes: none {kind} pre-training; add one of {', '.join(known)}"
        for kind, known in (("with", PRETRAINED_MODES), ("without", BASELINE_MODES))
        if not set(finetune.modes) & set(known)
    ]


def _reference_problems(config: Campaign) -> list[str]:
    processes, variants = set(config.processes), set(config.variants)
    problems = [
        f"tasks.{name}.{role}: no process {process!r}; known: {', '.join(sorted(processes))}"
        for name, task in config.tasks.items()
        for role, process in (("signal", task.signal), ("background", task.background))
        if process not in processes
    ]
    problems += [
        f"evaluate.{key}: no variant {variant!r}; known: {', '.join(sorted(variants))}"
        for key, names in (("variants", config.evaluate.variants), ("pair", config.evaluate.pair))
        for variant in names
        if variant not in variants
    ]
    if not any(process.use == "pretrain" for process in config.processes.values()):
        problems.append("processes: none has `use: pretrain`")
    return problems
