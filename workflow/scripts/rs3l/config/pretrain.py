"""The block `pretrain`."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from rs3l.config.base import Fraction, ImportPath, ModelPath, Name, Overrides, Settings, Verdict
from rs3l.config.encoders import DeepSets, Encoder
from rs3l.config.losses import Jepa, LossName, Masked, VicReg, Weight, loss_problem

IN_MEMORY = 1_000_000
"""With `stream: auto`, the data set is held in memory up to this number of jets of the train split (1 to 3 GB)."""


class Loop(Settings):
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
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        exclude_if=operator.not_,
        description="Decay per step of an exponential moving average of the weights, e.g. 0.999; validation and "
        "the model file then have the average. By default the weights of the last step.",
    )
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto",
        description="bf16: the network in bfloat16 where that is safe (autocast), weights and loss in float32. "
        "Only for hardware that has it: elsewhere it is many times slower. auto: bf16 on a GPU that has it.",
    )
    compile: Literal["auto"] | bool = Field(
        "auto",
        description="torch.compile. On CPUs it takes minutes and gains little. auto: on a GPU, for trainings of "
        "5,000 steps or more.",
    )
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


class HandMadeViews(Settings):
    """JetCLR's augmentations (arXiv:2108.04253, section 3.2) and five more, the peer of re-simulation."""

    of: Literal["nominal", "any"] = Field(
        "nominal",
        exclude_if="nominal".__eq__,
        description="Under `views: hand_made`, the jet that both augmentations are made of: the nominal one, or "
        "any re-simulation of the event, drawn anew each epoch, so that the method sees as many jets as RS3L.",
    )
    soft_smearing: float = Field(0.1, ge=0, description="Scale of the angular smearing, sigma = scale / pT [GeV].")
    collinear_splits: int = Field(8, ge=0, description="Candidates of each jet that are split in two.")
    drop: Fraction = Field(0.25, description="Probability that a candidate is dropped.")
    pt_jitter: float = Field(0.10, ge=0, description="Relative Gaussian width of the pT jitter.")
    charge_flip: bool = Field(True, description="Flip the sign of all charges in half of the views.")
    smear_displacement: bool = Field(True, description="Smear d0 and dz once more.")
    own: Annotated[str, ImportPath] | None = Field(
        None,
        exclude_if=operator.not_,
        description="One's own augmentation after all these, package.module:function (docs/extend.md).",
    )


class Pretrain(Settings):
    """Pre-training by contrast or by another pretext task."""

    methods: list[Name] | dict[Name, Overrides] = Field(
        ["rs3l", "jetclr"],
        min_length=1,
        description="What is pre-trained: ready methods (rs3l: this block as it is; rs3l_plus: `augment: true`; "
        "jetclr: `views: hand_made`; jetclr_all: the same with `hand_made.of: any`; supcon: `loss: sup_con`; "
        "mpm: `loss: masked`; multiclass: `loss: multi_class`; jepa: `loss: jepa`; jetclr_paper: JetCLR's own "
        "settings), or by name the keys of this block that a method changes.",
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
        "hand_made: two augmentations of one jet, the nominal (`hand_made.of`).",
    )
    augment: bool = Field(
        False,
        exclude_if=operator.not_,
        description="Whether each re-simulated view is augmented by the steps of `hand_made`, too.",
    )
    events: Annotated[int, Field(ge=2)] | Annotated[float, Field(gt=0, le=1)] | None = Field(
        None,
        description="Training events, as a number or (up to 1.0) a fraction; by default all. The number of steps "
        "stays that of all events.",
    )
    displacement: bool = Field(
        True, description="Whether networks see d0 and dz; without, their baselines do not see them either."
    )
    loss: LossName | dict[str, Weight] = Field(
        "nt_xent",
        description="nt_xent: SimCLR's, for two views. multi_view: the same over all pairs of views of an "
        "event. sup_con: supervised, positives are all jets of the same process: a baseline that uses "
        "every label. vicreg: without negatives, for two views. multi_class: supervised, the process of each jet. "
        "masked: hidden candidates are predicted. jepa: the latent of the other view is predicted, as a target "
        "network has it. package.module:Name: one's own (docs/extend.md). Several by name with their weights: "
        "`{nt_xent: 1.0, masked: 0.5}`.",
    )
    loss_options: dict[str, Any] = Field(
        {}, exclude_if=operator.not_, description="Arguments of one's own loss, by name."
    )
    temperature: float = Field(0.1, gt=0, description="Temperature tau of nt_xent, multi_view and sup_con.")
    vicreg: VicReg = VicReg()
    masked: Masked = Masked()
    jepa: Jepa = Jepa()
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

    check_every: int = Field(
        50,
        ge=1,
        description="Steps between two looks at the losses where looking waits for others (a GPU, several ranks); "
        "an error comes that much later. One process on a CPU looks after each step. A change re-runs nothing.",
    )

    @model_validator(mode="after")
    def _loss_takes_the_views(self) -> Self:
        if self.augment and self.views == "hand_made":
            raise ValueError(
                "augment: true is for re-simulated views, and views: hand_made has others; remove one"
            )
        if problem := loss_problem(self.loss, self.views, bool(self.loss_options)):
            raise ValueError(problem)
        return self
