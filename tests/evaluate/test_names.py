"""Whatever a campaign calls its methods, they are in its tables, figures, summary and report; and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.evaluate import names
from rs3l.evaluate.evaluate import evaluate
from rs3l.figures import style
from rs3l.figures.draw import draw
from rs3l.paths import CampaignPaths
from rs3l.report.captions import caption
from rs3l.report.page import markdown, report
from rs3l.report.results_page import KINDS
from support.drawing import given
from support.toy_campaign import ROOT, write_dataset, write_measures, write_results
from support.workflow import run_script

DEFAULT = ["rs3l_s0", "rs3l_s1", "jetclr_s0", "jetclr_s1", "none"]
NAMED = {"edgeconv": {"encoder": {"kind": "edgeconv"}}, "vicreg": {"loss": "vicreg"}}
TASK = "h_vs_qcd"
FIGURES = {
    "roc": "roc_table",
    "label_efficiency": "metrics_table",
    "stability": "stability_table",
    "robustness": "robustness_table",
    "mistag_change": "robustness_table",
    "tagger_output": "measures",
    "latent_quality": "latents_table",
}


def campaign(methods: Any, **values: Any) -> Campaign:
    """Return the miniature campaign with these methods, small enough to be evaluated at once."""
    config = yaml.safe_load((ROOT / "config" / "test.yaml").read_text(encoding="utf-8"))
    config["pretrain"]["methods"] = methods
    config["finetune"]["labels"] = [20, 200]
    config["tasks"] = {TASK: config["tasks"][TASK]}
    return parse_campaign({**config, **values})


@dataclass(frozen=True)
class Finished:
    """A campaign with its results."""

    config: Campaign
    root: Path

    @property
    def paths(self) -> CampaignPaths:
        return CampaignPaths(str(self.root))

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.paths.evaluation(name), keep_default_na=False, na_values=[""])

    @property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads(Path(self.paths.summary).read_text(encoding="utf-8")))


def finished(config: Campaign, root: Path) -> Finished:
    return Finished(config, write_results(config, root, qualities=True, events=30))


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(campaign(NAMED), tmp_path_factory.mktemp("named"))


@pytest.fixture(scope="module")
def reverse(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished(campaign(["jetclr", "rs3l"]), tmp_path_factory.mktemp("reverse"))


def test_the_default_campaign_shows_what_it_always_did() -> None:
    baselines = [("none", "scratch"), ("none", "scratch_views"), ("none", "random")]
    frozen = [("rs3l", "probe_h"), ("rs3l", "tuned"), ("jetclr", "probe_h")]
    assert names.compared(DEFAULT) == [*frozen, *baselines, ("none", "gbt")]
    assert names.robust(DEFAULT) == [*frozen, *baselines[:2], ("none", "n2")]
    assert names.matched_references(DEFAULT, "rs3l") == baselines[:2]
    assert names.legend(DEFAULT) == [
        *((method, mode) for method in ("rs3l", "jetclr") for mode in ("probe_h", "probe_z", "tuned")),
        *baselines,
    ]
    looks = style.looks(DEFAULT)
    assert looks["rs3l", "probe_h"] == (style.BLUE, "o", "-") and looks["none", "random"] == (style.GREY, "x", ":")
    assert looks["jetclr", "probe_h"] == (style.VERMILION, "^", "-")


def test_every_table_has_the_methods_of_the_campaign(named: Finished) -> None:
    methods = {"edgeconv", "vicreg", "none", "none_edgeconv"}
    for name in ("metrics", "runs", "stability", "robustness", "calibration", "roc"):
        assert set(named.table(name)["method"]) == methods, name
    assert set(named.table("latents")["method"]) == {"edgeconv", "vicreg"} == set(named.table("savings")["method"])
    for name in ("differences", "matched"):
        assert set(named.table(name)["method"]) == {"edgeconv"}, name
    assert set(named.table("differences")["reference_method"]) == methods - {"edgeconv"}
    assert set(named.table("matched")["reference_method"]) == {"none", "none_edgeconv"}


def legend_texts(figure: Any) -> Iterator[str]:
    """Yield what the legends of a figure say, the titles and rows of its panels, and the names of lines in them."""
    for legend in (*figure.legends, *(ax.get_legend() for ax in figure.axes)):
        yield from (text.get_text() for text in legend.get_texts()) if legend else ()
    for ax in figure.axes:
        yield ax.get_title(loc="left")
        yield from (label.get_text() for label in ax.get_yticklabels())
        yield from (name.get_text() for name in ax.texts)


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_shows_the_methods_of_the_campaign(named: Finished, figure: str) -> None:
    files = {
        option: named.paths.evaluation(option.removesuffix("_table"))
        for option in FIGURES.values()
        if option != "measures"
    }
    measures = [named.paths.measures(TASK, run) for run in blocks.evaluate(named.config).runs]
    inputs = given(task=TASK, measures=[*measures], **files)
    drawing = draw(figure, blocks.figures(named.config), style.Header("toy"), inputs)
    shown = set(drawing.points["method"])
    texts = " ".join(legend_texts(drawing.figure))
    baselines = {"none", "none_edgeconv"} if figure != "latent_quality" else set()
    assert shown == {"edgeconv", "vicreg", *baselines}
    assert "edgeconv, " in texts and "vicreg, " in texts
    assert not any(name in texts for name in ("RS3L", "JetCLR", "rs3l", "jetclr"))


def test_summary_and_report_name_the_methods_of_the_campaign(named: Finished) -> None:
    first, second, third = (entry["text"] for entry in named.summary["headline"])
    own = "edgeconv, frozen, linear on h"
    assert all(own in text for text in (first, second, third))
    assert "from scratch (networks of edgeconv)" in first and "vicreg, frozen, linear on h" in second
    assert all(entry["value"] is not None for entry in named.summary["headline"])
    for text in (markdown(named.config, named.root), report(named.config, named.root)):
        assert own in text and "vicreg, frozen, linear on h" in text
        assert "RS3L, " not in text.replace("RS3L, arXiv", "") and "JetCLR" not in text and "jetclr" not in text


def test_published_tables_begin_with_the_subject(named: Finished) -> None:
    rows = KINDS["metrics"](named.root / "evaluation", TASK, "auc")["method"].tolist()
    assert rows[0] == "edgeconv, frozen, linear on h" and rows[3] == "vicreg, frozen, linear on h"
    assert rows.index("from scratch") > rows.index("vicreg, fine-tuned")
    assert "from scratch (networks of edgeconv)" in rows


def test_a_campaign_with_hand_made_views_first_is_compared_with_the_other(reverse: Finished) -> None:
    _, second, _ = (entry["text"] for entry in reverse.summary["headline"])
    before, after = second.split(" against ")
    assert "(JetCLR+, frozen, linear on h" in before and "(RS3L, frozen, linear on h" in after
    assert [entry["method"] for entry in reverse.summary["methods"][:4]] == ["jetclr", "none", "rs3l", "none"]
    panels = set(zip(*(reverse.table("roc")[column] for column in ("method", "mode")), strict=True))
    assert {("jetclr", "probe_h"), ("jetclr", "tuned"), ("rs3l", "probe_h")} <= panels
    assert ("rs3l", "tuned") not in panels
    text = markdown(reverse.config, reverse.root)
    assert "QCD rejection of JetCLR+, frozen, linear on h at 50% H efficiency" in text
    assert "(RS3L, frozen, linear on h" in text.split("QCD rejection of JetCLR+")[1].split("\n")[0]


def peer(methods: Any) -> str | None:
    return names.peer_of(blocks.evaluate(campaign(methods)))


def test_the_peer_has_the_other_kind_of_views() -> None:
    assert peer(["rs3l", "jetclr"]) == peer(["rs3l", "supcon", "jetclr"]) == "jetclr"
    assert peer(["jetclr", "rs3l"]) == peer({"jetclr": {}, "harder": {"views": "hand_made"}, "rs3l": {}}) == "rs3l"
    assert peer(NAMED) == "vicreg" and peer(["rs3l"]) is None


def test_a_method_looks_the_same_in_every_figure_and_like_no_other() -> None:
    runs = ["edgeconv_s0", "vicreg_s0", "none", "none_edgeconv_s0"]
    looks = style.looks(runs)
    assert looks == style.looks([*runs, "vicreg_s1"])  # seeds are not methods
    assert len(set(looks.values())) == len(looks) == 16
    assert style.looks(["jetclr_s0", "rs3l_s0"])["rs3l", "probe_h"] == style.looks(DEFAULT)["rs3l", "probe_h"]
    many = style.looks([*(f"m{i}_s0" for i in range(40)), "rs3l_s0"])
    frozen = [look for (_, mode), look in many.items() if mode == "probe_h"]
    assert len(set(frozen)) == 41


def test_ablations_are_in_their_tables_and_their_figure(tmp_path: Path) -> None:
    ablations = {"fewer": {"events": 0.5}, "blind": {"displacement": False}}
    config = campaign({"edgeconv": {"encoder": {"kind": "edgeconv"}}}, ablations=ablations)
    block = blocks.evaluate_ablations(config)
    manifest = write_dataset(config, tmp_path)
    result = evaluate(block, manifest, *write_measures(config, tmp_path, 20, block.runs))
    assert {"edgeconv", "fewer", "blind", "none"} <= set(result.tables["roc"]["method"])
    assert "(fewer, frozen, linear on h" in result.summary["headline"][1]["text"]
    result.tables["metrics"].to_csv(tmp_path / "metrics.csv", index=False)
    inputs = given(ablations_table=tmp_path / "metrics.csv")
    drawing = draw("ablations", blocks.figures(config), style.Header("toy"), inputs)
    panel = drawing.figure.axes[0]
    rows = [label.get_text() for label in panel.get_yticklabels()]
    blue = {rows[round(line.get_ydata()[0])] for line in panel.lines if line.get_color() == style.BLUE}  # type: ignore[index, arg-type]
    assert blue == {row for row in rows if row.startswith("edgeconv, ")} and len(blue) == 3
    assert "(edgeconv)" in caption(config, "ablations")


@pytest.mark.parametrize(
    ("methods", "loss"),
    [
        (["rs3l", "jetclr"], "nt_xent, temperature 0.3"),
        (NAMED, "edgeconv: nt_xent, temperature 0.3; vicreg: vicreg"),
        (
            {"rs3l": {}, "supcon": {}, "cold": {"temperature": 0.05}, "jetclr": {}, "published": {"model": "a.safetensors"}},
            "RS3L, JetCLR+: nt_xent, temperature 0.3; SupCon: sup_con, temperature 0.3; cold: nt_xent, temperature 0.05",
        ),
        (
            {"rs3l": {}, "mpm": {}, "both": {"loss": {"nt_xent": 1.0, "masked": 0.5}}},
            "RS3L: nt_xent, temperature 0.3; MPM: masked; both: nt_xent + 0.5 masked, temperature 0.3",
        ),
    ],
)  # fmt: skip
def test_the_training_caption_has_the_loss_of_each_method(methods: Any, loss: str) -> None:
    assert f"The loss ({loss}) is that" in " ".join(caption(campaign(methods), "training").split())


def test_the_caption_of_label_efficiency_says_what_each_method_is() -> None:
    text = " ".join(caption(campaign(NAMED), f"label_efficiency_{TASK}").striptags().split())
    assert "Methods. edgeconv: pre-trained on re-simulated views, network edgeconv; vicreg: pre-trained" in text
    assert "re-simulated views, loss vicreg. Each is frozen" in text and "JetCLR" not in text


def test_a_pretraining_by_hand_is_that_of_the_first_method(tmp_path: Path) -> None:
    values = campaign(NAMED).model_dump(mode="json", exclude_defaults=True)
    (tmp_path / "campaign.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    options = [f"--{name}={tmp_path / name}" for name in ("manifest", "state", "model", "metrics", "provenance")]
    result = run_script("pretrain.py", "--config", str(tmp_path / "campaign.yaml"), *options)
    assert result.returncode == 1 and "rs3l_s0" not in result.stderr and f"{tmp_path}/manifest" in result.stderr


def test_the_report_of_a_campaign_with_a_finished_model(tmp_path: Path) -> None:
    config = campaign({"rs3l": {}, "published": {"model": "models/published.safetensors"}})
    text = report(config, write_results(config, tmp_path, events=20))
    assert "published, frozen, linear on h" in text
