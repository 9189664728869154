"""The plan: its counts, its scaling, and that a campaign's own costs add up to what it took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rs3l import plan
from rs3l.config import Campaign, blocks, load_campaign, parse_campaign
from rs3l.config.encoders import FEATURES, DeepSets, EdgeConv, Transformer
from rs3l.dataset.features import FEATURES as FEATURE_NAMES
from rs3l.errors import ConfigError, DataError
from rs3l.networks.build import build
from rs3l.networks.deepsets import DeepSetsEncoder
from rs3l.plan import ALL_STAGES, STAGES, Cost, CostTable, load_costs, measured, scaled, work_of
from support.places import REPOSITORY

TABLE = REPOSITORY / "benchmarks" / "costs.json"


def simple_table(start_s: float = 1.0, unit_s: float = 0.01) -> CostTable:
    """Return the same cost for every stage."""
    cost = Cost(
        unit="u", start_s=start_s, unit_s=unit_s, unit_s_range=(unit_s, unit_s), memory_mb=100, held_kb=2,
        written_bytes=1000, jobs=1,
    )  # fmt: skip
    return CostTable(machine="m", date="d", how="h", jets_per_shower=0.5, stages=dict.fromkeys(STAGES, cost))


def by_stage(config: Campaign, costs: CostTable) -> dict[str, plan.Line]:
    return {line.work.stage: line for line in plan.plan(config, costs)}


def test_the_committed_table_has_every_stage() -> None:
    table = load_costs(TABLE)
    assert set(table.stages) == set(ALL_STAGES)
    for stage, cost in table.stages.items():
        assert cost.unit_s_range[0] <= cost.unit_s <= cost.unit_s_range[1], stage


@pytest.fixture(name="campaign")
def campaign_of_small_shards(test_values: dict[str, Any]) -> Campaign:
    """Return the miniature campaign with three shards of most processes."""
    return parse_campaign({**test_values, "events_per_shard": 60})


def test_the_resimulation_counts_jobs_events_and_disk(campaign: Campaign) -> None:
    line = by_stage(campaign, simple_table())["resimulate"]
    assert line.work.jobs == (3 + 3 + 2) * 4
    assert line.work.units == (180 + 180 + 120) * 4
    assert line.core_hours * 3600 == pytest.approx(32 * 1.0 + 1920 * 0.01)
    assert line.job_hours * 3600 == pytest.approx(1.0 + 60 * 0.01)
    assert line.disk_gb == pytest.approx(1920 * 1000 / 1e9)


def test_time_on_cores_is_in_full_rounds(campaign: Campaign) -> None:
    line = by_stage(campaign, simple_table())["resimulate"]
    assert line.wall_hours(32) == pytest.approx(line.job_hours)
    assert line.wall_hours(31) == pytest.approx(2 * line.job_hours)
    assert line.wall_hours(1) == pytest.approx(32 * line.job_hours)


def test_smaller_shards_cost_more_starts_and_the_same_events(campaign: Campaign) -> None:
    costs = simple_table()
    small = campaign.model_copy(update={"events_per_shard": 30})
    one, two = by_stage(campaign, costs)["resimulate"], by_stage(small, costs)["resimulate"]
    assert two.work.units == one.work.units and two.work.jobs == 2 * one.work.jobs
    assert (two.core_hours - one.core_hours) * 3600 == pytest.approx(one.work.jobs * 1.0)


def test_scaling_to_a_number_of_jets(campaign: Campaign) -> None:
    costs = simple_table()
    large = by_stage(scaled(campaign, 1e6, costs), costs)
    assert large["resimulate"].work.units * costs.jets_per_shower == pytest.approx(1e6, rel=1e-4)
    assert large["merge"].work.units == large["resimulate"].work.units


def test_the_network_counts_its_weights() -> None:
    assert len(FEATURE_NAMES) == FEATURES
    encoder = DeepSetsEncoder(DeepSets(), constituents=64)
    per_candidate = sum(p.numel() for n, p in encoder.phi.named_parameters() if n.endswith("weight"))
    per_jet = sum(
        p.numel() for part in (encoder.rho, encoder.projector) for n, p in part.named_parameters()
        if n.endswith("weight")
    )  # fmt: skip
    assert plan.network_work(DeepSets(), 64) == 64 * per_candidate + per_jet


def test_other_networks_count_theirs_and_what_grows_with_the_square() -> None:
    edgeconv, transformer = EdgeConv(kind="edgeconv"), Transformer(kind="transformer")
    for config, extra in ((edgeconv, 3 * 128 * (64 + 24)), (transformer, 3 * 2 * 64 * 64)):
        names = build(config, 64).named_parameters()
        weights = {n: p.numel() for n, p in names if p.ndim == 2}
        per_jet = sum(size for n, size in weights.items() if n.startswith(("rho", "projector")))
        per_candidate = sum(weights.values()) - per_jet
        assert plan.network_work(config, 64) == 64 * (per_candidate + extra) + per_jet


def test_training_grows_with_epochs_runs_and_network(campaign: Campaign) -> None:
    def units(**changes: object) -> float:
        pretrain = campaign.pretrain.model_copy(update=changes)
        return work_of("pretrain", campaign.model_copy(update={"pretrain": pretrain})).units

    assert units(epochs=80) == pytest.approx(2 * units(epochs=40))
    assert units(seeds=3) == pytest.approx(3 * units(seeds=1))
    both, one = {"views": "all", "loss": "multi_view"}, {"methods": ["rs3l"]}
    assert units(**both, **one) == pytest.approx(2 * units(**one))  # four variants may be trained on
    assert units(**both) == pytest.approx(1.5 * units())  # hand-made views are two
    assert units(encoder=DeepSets(hidden=64)) > 2 * units(encoder=DeepSets(hidden=32))


def networks(campaign: Campaign, table: CostTable, **methods: object) -> dict[str, plan.Line]:
    """Return the plan of a campaign whose methods have networks of their own."""
    pretrain = campaign.pretrain.model_copy(update={"methods": methods, "seeds": 1, "encoder": DeepSets()})
    return by_stage(campaign.model_copy(update={"pretrain": pretrain}), table)


def test_every_stage_costs_the_network_of_its_run(campaign: Campaign) -> None:
    """EdgeConv, as a method's own encoder, in the training, the latents and the classifiers, and in its baseline."""
    own = {"encoder": {"kind": "edgeconv"}}
    times = {"edgeconv": plan.EncoderCost(training=2.0, inference=3.0)}
    plain, table = simple_table(), simple_table().model_copy(update={"encoders": times})
    sets, both, timed = (
        networks(campaign, plain, rs3l={}), networks(campaign, plain, rs3l={}, edge=own),
        networks(campaign, table, rs3l={}, edge=own),
    )  # fmt: skip
    size = plan.network_work(EdgeConv(kind="edgeconv"), 64) / plan.network_work(DeepSets(), 64)
    assert size > 5
    for stage, factor in (("pretrain", 2.0), ("embed", 3.0), ("finetune", 2.0), ("score", 3.0)):
        first = sets[stage].work.units
        assert both[stage].work.units == pytest.approx(first * (1 + size))
        assert timed[stage].work.units == pytest.approx(first * (1 + factor * size))
        assert timed[stage].work.largest == pytest.approx(sets[stage].work.largest * factor * size)
    assert both["finetune"].work.jobs == 8 and sets["finetune"].work.jobs == 4  # runs and baselines


def test_the_committed_table_knows_every_encoder() -> None:
    kinds = (DeepSets(), EdgeConv(kind="edgeconv"), Transformer(kind="transformer"))
    names = [*map(plan.encoder_name, kinds), plan.encoder_name(Transformer(kind="transformer", pairwise=True))]
    found = load_costs(TABLE).encoders
    assert list(found) == [names[0], *names[2:], names[1]] and found["deepsets"].training == 1.0
    assert len({cost.inference for cost in found.values()}) == 4


def test_the_shipped_campaigns_can_be_planned() -> None:
    for name in ("config", "test", "paper"):
        config = load_campaign(REPOSITORY / "config" / f"{name}.yaml")
        lines = by_stage(config, load_costs(TABLE))
        assert lines["hard_process"].work.jobs == sum(len(blocks.shards(config, p)) for p in config.processes)
        assert all(line.core_hours > 0 for line in lines.values())


def write_benchmarks(root: Path, config: Campaign, seconds: float) -> None:
    """Write a finished campaign in which every job took ``seconds``."""
    for stage, what in STAGES.items():
        for job in range(work_of(stage, config).jobs):
            path = root / "benchmarks" / what.rules[0] / f"{job}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"cpu_time": seconds, "max_rss": 200.0}) + "\n", encoding="utf-8")
    (root / "dataset").mkdir()
    files = [{"path": "x", "split": "train", "process": "qcd", "events": 240, "rows": 960, "sha256": ""}]
    manifest = {
        "format": 1,
        "variants": {},
        "processes": {"qcd": {"label": "QCD", "use": "pretrain"}},
        "files": files,
    }
    (root / "dataset" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_the_costs_of_a_campaign_add_up_to_what_it_took(campaign: Campaign, tmp_path: Path) -> None:
    write_benchmarks(tmp_path, campaign, seconds=30.0)
    table = measured(campaign, tmp_path, simple_table())
    assert table.jets_per_shower == pytest.approx(0.5)
    for stage, line in by_stage(campaign, table).items():
        assert line.core_hours * 3600 == pytest.approx(30.0 * line.work.jobs, rel=0.01), stage


def test_an_unfinished_campaign_is_refused(campaign: Campaign, tmp_path: Path) -> None:
    write_benchmarks(tmp_path, campaign, seconds=30.0)
    (tmp_path / "benchmarks" / "merge" / "0.jsonl").unlink()
    with pytest.raises(DataError, match="no benchmark of merge"):
        measured(campaign, tmp_path, simple_table())


def test_a_table_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    values = json.loads(simple_table().model_dump_json())
    values["stages"]["merge"]["hours"] = 3
    (tmp_path / "costs.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ConfigError, match="hours"):
        load_costs(tmp_path / "costs.json")


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    tool = str(REPOSITORY / "tools" / "plan.py")
    return subprocess.run([sys.executable, tool, *arguments], capture_output=True, text=True, cwd=REPOSITORY)


def test_the_command_prints_every_stage() -> None:
    result = run_tool("--config", "config/paper.yaml", "--cores", "200", "--jets", "1e8")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    stages = [stage for stage in STAGES if stage != "pileup"]
    assert [line.split()[0] for line in lines[1 : len(stages) + 2]] == [*stages, "total"]
    assert "on 200 cores" in lines[0]


def test_the_command_names_what_is_wrong() -> None:
    result = run_tool("--config", "config/none.yaml")
    assert result.returncode != 0 and "config/none.yaml" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "option",
    ["--cores=0", "--events-per-shard=0", "--jets=nan", "--node-memory=-64", "--ranks=0", "--gpu-speed=0"],
)
def test_the_command_refuses_what_is_not_above_zero(option: str) -> None:
    result = run_tool(option)
    assert result.returncode == 2
    assert f"{option.partition('=')[0]}: a number above 0 is expected" in result.stderr
