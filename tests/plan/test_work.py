"""What the largest job of each stage holds, and the counts of jobs: streams, groups of parts, labels, ablations."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rs3l.config import Campaign, blocks, load_campaign, parse_campaign
from rs3l.config.encoders import DeepSets, EdgeConv
from rs3l.config.pretrain import IN_MEMORY, Pretrain
from rs3l.dataset.stream import Order
from rs3l.finetune.order import MIN_STEPS, POOL
from rs3l.finetune.training import FEWEST_JUDGES, JUDGES_PER_JET
from rs3l.paths import CampaignPaths
from rs3l.plan import STAGES, EncoderCost, Scope, learning, stages_of, work_of
from rs3l.plan.work import classifiers
from rs3l.status import planned_jobs
from support.places import REPOSITORY

Values = dict[str, Any]
NOTHING = ("hard_process", "pileup", "resimulate", "embed", "score", "evaluate", "figures", "report")


def changed(values: Values, **blocks_: Values) -> Campaign:
    """Return a configuration with other keys in some blocks."""
    values = copy.deepcopy(values)
    for name, keys in blocks_.items():
        values[name] = {**values.get(name, {}), **keys}
    return parse_campaign(values)


def times(config: Campaign, factor: int) -> Campaign:
    """Return a campaign with so many times the events."""
    processes = {
        name: process.model_copy(update={"events": factor * process.events})
        for name, process in config.processes.items()
    }
    return config.model_copy(update={"processes": processes})


def test_what_a_job_holds_does_not_grow_with_the_campaign(campaign: Campaign) -> None:
    """But for the scores of a classifier in `measure`."""
    sizes = (campaign, times(campaign, 100_000), times(campaign, 1_000_000))
    for stage in STAGES:
        small, large, very_large = (work_of(stage, config).held for config in sizes)
        if stage == "measure":
            assert very_large == pytest.approx(10 * large)
        else:
            assert very_large == large and (small == 0) == (stage in NOTHING), stage


def test_events_that_are_for_tests_alone_train_nothing(test_values: Values) -> None:
    """The ones added after the first 180 of a process."""
    splits = {**test_values["dataset"]["splits"], "test_only_after": {"qcd": 180}}
    processes = copy.deepcopy(test_values["processes"])
    processes["qcd"]["events"] = 1180
    before = parse_campaign(test_values)
    after = changed({**test_values, "processes": processes}, dataset={"splits": splits})
    for stage in ("pretrain", "finetune"):
        assert work_of(stage, after) == work_of(stage, before)
    assert work_of("embed", after).written == work_of("embed", before).written + 1000 * 4 * 2
    assert work_of("embed", after).largest == pytest.approx((1000 + 0.25 * 180) * 4 * network(before))


def test_a_variant_of_the_test_split_has_all_events_for_tests_alone(test_values: Values) -> None:
    late = {"late": {"resample": "shower", "use": "held_out", "splits": ["test"]}}

    def showers(**more: Any) -> float:
        with_late, without = changed(test_values, variants=late, **more), changed(test_values, **more)
        return work_of("resimulate", with_late).units - work_of("resimulate", without).units

    assert showers() == pytest.approx(0.25 * 480)
    splits = {"train": 0.5, "val": 0.25, "test": 0.25, "test_only_after": {"qcd": 80}}
    assert showers(dataset={"splits": splits}) == pytest.approx(0.25 * 380 + 100)


def network(config: Campaign) -> float:
    """Return the time of the miniature network relative to the default one."""
    return work_of("embed", config).units / work_of("embed", config).written


def test_a_pretraining_streams_as_the_training_itself_decides(test_values: Values) -> None:
    showers = 0.5 * (180 + 180) * 4
    factor = int(IN_MEMORY / showers) + 1
    config = changed(test_values, pretrain={"methods": ["rs3l"]})
    for config_, streams in ((times(config, factor - 1), False), (times(config, factor), True)):
        held = work_of("pretrain", config_).held
        pools = 2 * Order(seed=0).pool * 40 * 4
        assert held == (pools if streams else pytest.approx(0.75 * 360 * (factor - 1) * 4))
    few_jets = Scope(jets_per_shower=0.5)  # the training counts jets, and not showers
    assert work_of("pretrain", times(config, factor), few_jets).held > 1e6
    assert Order(seed=0).pool == learning.GROUPS_OF_POOL


@pytest.mark.parametrize(
    ("keys", "streams"),
    [({"loop": {"stream": True}}, True), ({"loop": {"stream": False}}, False), ({"events": 0.5}, False)],
)
def test_the_configuration_may_decide(test_values: Values, keys: Values, streams: bool) -> None:
    config = times(changed(test_values, pretrain=keys), 10_000)
    assert (work_of("pretrain", config).held < 1e5) == streams


def test_groups_of_parts_are_jobs(test_values: Values) -> None:
    config = changed(test_values, dataset={"events_per_part": 30, "parts_per_job": 2})
    groups = sum(len(blocks.groups(config, process)) for process in config.processes)
    assert groups == 3 + 3 + 2
    embed, score = work_of("embed", config), work_of("score", config)
    assert (embed.jobs, score.jobs) == (2 * groups, 3 * (3 + 3) + 3 * (2 + 3))
    assert embed.largest == pytest.approx(0.25 * 60 * 4 * embed.units / (0.25 * 480 * 4 * 2))
    one = changed(test_values, dataset={"events_per_part": 30, "parts_per_job": 200})
    assert work_of("score", one).units == pytest.approx(score.units)
    assert work_of("score", one).largest == pytest.approx(3 * score.largest)


@pytest.mark.parametrize("name", ["config", "paper", "reference", "test"])
def test_as_many_jobs_as_the_progress_of_a_campaign_counts(name: str) -> None:
    """Latents, for one, are made of the first run of each method alone."""
    config = load_campaign(REPOSITORY / "config" / f"{name}.yaml")
    counted = [len(jobs) for jobs in planned_jobs(config, CampaignPaths(config.root)).values()]
    stages = stages_of(config)
    assert {stage: work_of(stage, config).jobs for stage in stages} == dict(zip(stages, counted, strict=True))


def test_scores_are_a_column_per_classifier(campaign: Campaign) -> None:
    """As the miniature campaign has them: a number of labels, two draws of them, and a cut that takes none."""
    names = {run: classifiers(campaign, "h_vs_qcd", run) for run in ("rs3l_s0", "none")}
    assert names == {"rs3l_s0": 3 * 2, "none": 4 * 2 + 1}
    jets = 0.25 * (180 + 180 + 120 + 180) * 4
    assert work_of("score", campaign).written == pytest.approx(jets * (2 * 6 + 9))


def test_labels_and_their_views_are_held_up_to_the_limit(test_values: Values) -> None:
    def held(**keys: Any) -> float:
        config = changed(test_values, finetune={"validation": 500, "repeats": 1, "held_jets": 5000, **keys})
        return work_of("finetune", times(config, 10_000)).held - learning.VALIDATION_ROWS * 500

    assert held(labels=[10, 1000], modes=["probe_h", "scratch"]) == 1010
    assert held(labels=[10, 1000], modes=["probe_h", "scratch_views"]) == 4 * 1010
    assert held(labels=[10, 1000], modes=["probe_h", "scratch"], repeats=3) == 3 * 1010
    assert (
        held(labels=[10, 4000], modes=["probe_h", "scratch"], repeats=2) == 20 + 4000 + 4000
    )  # the last is read from a file
    assert held(labels=[10, 90_000], modes=["probe_h", "scratch"]) == 10 + POOL


def test_a_training_takes_the_steps_of_its_settings(test_values: Values) -> None:
    def jets(labels: int, **keys: Any) -> float:
        settings = {"repeats": 1, "validation": 2, "batch": 100, "min_steps": 0, "max_epochs": 1000, **keys}
        config = changed(test_values, finetune={"labels": [labels], "modes": ["tuned", "scratch"], **settings})
        one = parse_campaign({**config.model_dump(), "tasks": {"t": {"signal": "higgs_bb", "background": "qcd"}}})
        return work_of("finetune", times(one, 10_000)).units / work_of("finetune", times(one, 10_000)).jobs

    few, many, very_many = jets(100), jets(10_000), jets(1_000_000)
    assert many == pytest.approx(10 * few, rel=0.02)  # ten passes over 100 labels are an epoch
    assert very_many == pytest.approx(50 * many, rel=0.02)  # an epoch has at most 5,000 steps
    assert very_many / 100 < jets(1_000_000, validate_every=50) < very_many / 20  # the labels are embedded once
    assert jets(10_000, max_epochs=6) == pytest.approx(many / 10, rel=0.1)


def test_what_is_repeated_here_is_what_the_training_does() -> None:
    """Plans do without torch, which the modules of the training need."""
    assert (learning.LEAST_STEPS, learning.LABEL_POOL) == (MIN_STEPS, POOL)
    assert (learning.FEWEST_JUDGES, learning.JUDGES_PER_JET) == (FEWEST_JUDGES, JUDGES_PER_JET)
    assert Order(seed=0).pool == learning.GROUPS_OF_POOL


def test_ablations_are_more_of_the_same(test_values: Values) -> None:
    ablations = {"blind": {"displacement": False}, "half": {"events": 0.5}}
    config = parse_campaign({**test_values, "ablations": ablations})
    jobs = {
        stage: [work_of(stage, config, Scope(ablations=more)).jobs for more in (False, True)] for stage in STAGES
    }
    assert jobs["pretrain"] == jobs["quality"] == [2, 4]
    assert jobs["embed"][0] == jobs["embed"][1]
    assert jobs["finetune"] == jobs["measure"] == [2 * 3, 2 * (4 + 2)]
    assert jobs["evaluate"] == [1, 2] and jobs["figures"][1] == jobs["figures"][0] + 1
    assert jobs["resimulate"][0] == jobs["resimulate"][1]


def test_a_step_needs_the_memory_of_its_network_and_batch(test_values: Values) -> None:
    def step(batch: int, **encoder: Any) -> float:
        config = changed(test_values, pretrain={"batch": batch, "encoder": encoder, "methods": ["rs3l"]})
        costs = {"deepsets": EncoderCost(training=1, inference=1, step_kb=100)}
        costs["edgeconv"] = EncoderCost(training=1, inference=1, step_kb=1000)
        return work_of("pretrain", config, Scope(encoders=costs)).counted_mb

    usual, wide = DeepSets().hidden, 2 * DeepSets().hidden
    similarity = learning.SIMILARITY_BYTES * 64**2 / 1e6
    assert step(32, hidden=usual) == pytest.approx(64 * 0.1 + similarity, rel=0.02)
    assert step(32, hidden=wide) == pytest.approx(2 * 64 * 0.1 + similarity, rel=0.02)
    assert step(32, kind="edgeconv", hidden=EdgeConv(kind="edgeconv").hidden) > 9 * step(32, hidden=usual)
    assert step(64, hidden=usual) > 2 * step(32, hidden=usual)


def test_passes_of_a_step_follow_what_the_losses_declare() -> None:
    """Those that see whole views share a pass; hidden candidates take another, a target goes forward."""
    expected = {
        "nt_xent": 1, "multi_class": 1, "masked": 1, "jepa": 1 + learning.FORWARD, "a.b:c": 1,
    }  # fmt: skip
    assert {name: learning.passes(Pretrain(loss=name)) for name in expected} == expected
    together = Pretrain(loss={"nt_xent": 1.0, "multi_class": 1.0, "masked": 0.5, "jepa": 1.0})
    assert learning.passes(together) == 2 + learning.FORWARD


def test_a_loss_that_sees_views_twice_is_planned_so(test_values: Values) -> None:
    once, twice = (
        work_of("pretrain", changed(test_values, pretrain={"loss": loss}))
        for loss in ("nt_xent", {"nt_xent": 1.0, "masked": 0.5})
    )
    assert twice.units == 2 * once.units and twice.jobs == once.jobs
