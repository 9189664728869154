"""A wrong configuration stops at parse time, with the key's path and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from rs3l.config import Campaign, blocks, load_campaign, parse_campaign
from rs3l.config.encoders import EdgeConv
from rs3l.config.losses import VicReg
from rs3l.errors import ConfigError
from rs3l.pythia import check_settings
from support.changes import changed
from support.places import REPOSITORY, SIMULATED

Values = dict[str, Any]


@pytest.mark.parametrize("name", SIMULATED)
def test_shipped_configurations_are_valid(name: str) -> None:
    check_settings(load_campaign(REPOSITORY / "config" / name))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("jets/pt_mn", 300, "jets.pt_mn: unknown key; did you mean `pt_min`?"),
        ("colour", 1, "colour: unknown key"),
        ("variants/seed/resampel", "shower", "variants.seed.resampel: unknown key; did you mean `resample`?"),
        ("jets/pt_min", "high", "jets.pt_min: "),
        ("jets/radius", -1, "jets.radius: "),
        ("processes/qcd/events", 0, "processes.qcd.events: "),
        ("processes/qcd/pt_hat", {"min": 290}, "processes.qcd.pt_hat.min: 290 GeV is above 0.8 x jets.pt_min"),
        ("processes/qcd/pt_hat", {"min": 200, "max": 300}, "processes.qcd.pt_hat.max: 300 GeV is not above"),
        ("processes/qcd/pt_hat", {"min": 200, "max": 100}, "processes.qcd.pt_hat: max (100 GeV) must exceed"),
        ("variants/seed", {}, "variants.seed.resample: every variant but `nominal`"),
        ("variants/nominal", {"resample": "shower"}, "variants.nominal.resample"),
        ("variants/x", {"resample": "detector", "pythia": {"TimeShower:alphaSvalue": 0.13}}, "variants.x"),
        ("variants/x", {"resample": "hadronisation", "pythia": {"TimeShower:alphaSvalue": 0.1}}, "use `resample: shower`"),
        ("variants/x", {"resample": "hadronisation", "pythia": {"timeshower:alphasvalue": 0.1}}, "use `resample: shower`"),
        ("variants/Fsr-up", {"resample": "shower"}, "variants.Fsr-up"),
        ("tasks/h_vs_qcd/signal", "higgs", "tasks.h_vs_qcd.signal: no process 'higgs'; known: higgs_bb, qcd, w_qq"),
        ("tasks/h_vs_qcd/signal", "qcd", "tasks.h_vs_qcd: signal and background are both 'qcd'"),
        ("evaluate/pair", ["nominal", "sed"], "evaluate.pair: no variant 'sed'"),
        ("dataset/splits", {"train": 0.9, "val": 0.2, "test": 0.1}, "dataset.splits: train + val + test is 1.2"),
        ("results", "a;b c", "results: "),
    ],
)  # fmt: skip
def test_each_mistake_is_named(test_values: Values, path: str, value: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_campaign(changed(test_values, path, value))
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("variants/x", {"resample": "shower", "pythia": {"TimeShower:renormMultFact": 0.5}}, "variants.x.pythia.TimeShower:renormMultFact"),
        ("processes/qcd/pythia", {"HardQCD:everything": True}, "processes.qcd.pythia.HardQCD:everything"),
        ("generator/pythia", {"25:onMod": False}, "generator.pythia.25:onMod"),
        ("variants/x", {"resample": "shower", "pythia": {"TimeShower:renormMultFac": "much"}}, "variants.x.pythia"),
    ],
)  # fmt: skip
def test_settings_that_pythia_does_not_know_are_named(
    test_values: Values, path: str, value: Any, expected: str
) -> None:
    config = parse_campaign(changed(test_values, path, value))
    with pytest.raises(ConfigError) as error:
        check_settings(config)
    assert expected in str(error.value)


def test_a_detector_variant_needs_something_random(test_values: Values) -> None:
    values = changed(test_values, "variants/redetect", {"resample": "detector"})
    off = {"constant": 0.0, "slope": 0.0}
    parse_campaign(changed(values, "detector", {"d0": off}))
    parse_campaign(changed(values, "detector", {"response": "cms", "d0": off, "dz": off}))
    with pytest.raises(ConfigError, match=r"variants\.redetect\.resample: the detector draws no random number"):
        parse_campaign(changed(values, "detector", {"d0": off, "dz": off}))
    parse_campaign(changed(test_values, "detector", {"d0": off, "dz": off}))
    with pytest.raises(ConfigError, match="detector.respons: unknown key; did you mean `response`?"):
        parse_campaign(changed(test_values, "detector", {"respons": "cms"}))


def test_missing_nominal_and_lonely_variant_are_named(test_values: Values) -> None:
    with pytest.raises(ConfigError, match=r"add `nominal: \{\}`"):
        parse_campaign(changed(test_values, "variants", {"seed": {"resample": "shower"}}))
    with pytest.raises(ConfigError, match="gives no two views of an event"):
        values = changed(test_values, "variants", {"nominal": {}})
        parse_campaign(changed(values, "evaluate", {"variants": ["nominal"], "pair": None}))


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="a mapping of keys is expected"):
        load_campaign(path)


def test_a_block_holds_what_its_job_needs_and_nothing_else(test_values: Values, campaign: Campaign) -> None:
    """The settings of one variant are in the blocks of that variant only; `events` is in no re-simulation."""
    other = parse_campaign(changed(test_values, "variants/fsr_hi/pythia", {"TimeShower:renormMultFac": 0.5}))
    whole, more = (parse_campaign(changed(test_values, "processes/qcd/events", n)) for n in (240, 360))
    for process in campaign.processes:
        for variant in campaign.variants:
            same = blocks.resim(campaign, process, variant) == blocks.resim(other, process, variant)
            assert same == (variant != "fsr_hi")
            assert blocks.resim(campaign, process, variant) == blocks.resim(more, process, variant)
    for shard in blocks.shards(whole, "qcd"):
        assert blocks.hard(whole, "qcd", shard) == blocks.hard(more, "qcd", shard)
    assert blocks.hard(more, "qcd", 2).first == 240


def test_a_task_may_have_numbers_of_labels_of_its_own(test_values: Values) -> None:
    campaign = parse_campaign(changed(test_values, "tasks/w_vs_qcd/labels", [10, 12]))
    found = {task: blocks.finetune(campaign, task, "none").finetune.labels for task in campaign.tasks}
    assert found == {"h_vs_qcd": [20], "w_vs_qcd": [10, 12]}


def test_streams_follow_the_point_of_intervention(campaign: Campaign) -> None:
    streams = {
        variant: [
            blocks.resim(campaign, "qcd", variant).stream(s) for s in ("shower", "hadronisation", "detector")
        ]
        for variant in campaign.variants
    }
    assert streams["nominal"] == ["nominal"] * 3
    assert streams["seed"] == ["seed"] * 3
    assert streams["rehadron"] == ["nominal", "rehadron", "rehadron"]


def test_asking_for_what_is_not_configured_is_an_error(campaign: Campaign) -> None:
    with pytest.raises(ConfigError, match="no process 'top'"):
        blocks.resim(campaign, "top", "nominal")
    with pytest.raises(ConfigError, match="shard 3 of qcd does not exist"):
        blocks.hard(campaign, "qcd", 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"encoder": {"kind": "edgconv"}},
            "pretrain.encoder: kind must be deepsets, edgeconv, transformer or package",
        ),
        (
            {"encoder": {"kind": "edgeconv", "neigbours": 3}},
            r"neigbours: unknown key; did you mean `neighbours`\?",
        ),
        ({"encoder": {"hiden": 3}}, r"hiden: unknown key; did you mean `hidden`\?"),
        ({"encoder": {"kind": "transformer", "heads": 5}}, r"hidden \(64\) must be a multiple of heads \(5\)"),
        ({"views": "all"}, "loss: nt_xent compares two; use loss: multi_view or sup_con, or views: any_two"),
        ({"views": "all", "loss": "vicreg"}, "loss: vicreg compares two"),
    ],
)
def test_networks_views_and_losses_that_do_not_go_together(
    test_values: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_campaign({**test_values, "pretrain": changes})


def test_a_block_holds_what_its_loss_needs(test_values: dict[str, Any]) -> None:
    def block(run: str, **changes: Any) -> blocks.PretrainBlock:
        return blocks.pretrain(parse_campaign({**test_values, "pretrain": changes}), run)

    assert block("rs3l_s0", vicreg={"variance": 3}).vicreg is None, "weights of a loss that is not used"
    assert block("rs3l_s0", loss="vicreg").vicreg == VicReg()
    assert block("rs3l_s0", views="nominal_and_one").views == "nominal_and_one"
    assert block("jetclr_s0", views="nominal_and_one").views == "any_two", "jetclr makes its own views"
    assert block("rs3l_s0", encoder={"kind": "edgeconv"}).encoder == EdgeConv(kind="edgeconv")
