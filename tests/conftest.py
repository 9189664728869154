"""What the tests share: the miniature configuration, a few real events, and Snakemake in a folder of its own."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.places import REPOSITORY
from support.workflow import Snakemake

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks: more threads only wait for each other

import pytest
import yaml

from rs3l.config import Campaign, blocks, parse_campaign
from rs3l.hard.hard import generate_shard
from rs3l.lhe.lhe import HardEvent, read_shard

ON_A_CAMPAIGN = (
    "campaign", "conda", "faults", "report", "slurm",
    "dag/test_ablations.py", "dag/test_rerun.py", "dag/test_resources.py",
)  # fmt: skip
"""Folders and files whose tests look at the finished campaign: one worker of pytest-xdist has them all."""

LONG = ("training", "pretrain")
"""Folders whose files would otherwise keep one worker busy when all others are done."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker whole files, and one of them all the tests on a finished campaign."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::")[0]
            return "on a campaign" if is_on_a_campaign(REPOSITORY / path) else path

    return Files(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: the tests on a finished campaign, then trainings and their signals."""
    items.sort(key=lambda item: (not is_on_a_campaign(item.path), item.path.parent.name not in LONG))
    astray = {item.path for item in items if "finished" in getattr(item, "fixturenames", ())}
    assert all(map(is_on_a_campaign, astray)), f"for ON_A_CAMPAIGN: {astray}"


def is_on_a_campaign(path: Path) -> bool:
    """Return whether tests in ``path`` look at the finished campaign."""
    return path.relative_to(REPOSITORY / "tests").as_posix().startswith(ON_A_CAMPAIGN)


@pytest.fixture(scope="session")
def test_values() -> dict[str, Any]:
    """Return the miniature configuration as plain values; each test may change its own copy."""
    values = yaml.safe_load((REPOSITORY / "config" / "test.yaml").read_text(encoding="utf-8"))
    assert isinstance(values, dict)
    return values


@pytest.fixture(scope="session")
def campaign(test_values: dict[str, Any]) -> Campaign:
    """Return the miniature configuration."""
    return parse_campaign(test_values)


@pytest.fixture(scope="session")
def hard_shard(campaign: Campaign, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int, int], Path]:
    """Return a function that generates hard events ``first ... first + events - 1`` of a process."""
    folder = tmp_path_factory.mktemp("hard")

    def generate(process: str, first: int, events: int) -> Path:
        path = folder / process / f"{first}_{events}.lhe.gz"
        if not path.exists():
            block = blocks.hard(campaign, process, 0).model_copy(update={"first": first, "events": events})
            generate_shard(block, path)
        return path

    return generate


@pytest.fixture(scope="session")
def hard_events(hard_shard: Callable[[str, int, int], Path]) -> Callable[[str, int], list[HardEvent]]:
    """Return a function that gives the first hard events of a process."""
    return lambda process, events: read_shard(hard_shard(process, 0, events))[1]


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the manifest of the toy data set of ``tests/support/toy.py``; tests only read it."""
    from support import toy  # with torch, which the other tests need not load

    return toy.write_dataset(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, test_values: dict[str, Any]) -> Snakemake:
    """Run the whole miniature campaign, once per test session; tests only look at it, or dry-run."""
    snakemake = Snakemake(tmp_path_factory.mktemp("finished"), test_values, quick=True)
    snakemake()
    return snakemake


@pytest.fixture(scope="session")
def tiny_values(test_values: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with every stage and as few jobs as that takes, for tests that run it many times."""
    values = copy.deepcopy(test_values)
    del values["processes"]["w_qq"], values["tasks"]["w_vs_qcd"]
    values["events_per_shard"] = 60  # two shards of each process
    for process in values["processes"].values():
        process["events"] = 120
    values["variants"] = {name: values["variants"][name] for name in ("nominal", "seed")}
    values["dataset"].update(events_per_part=20)
    values["pretrain"]["methods"] = ["rs3l"]
    values["finetune"].update(repeats=1)
    values["evaluate"].update(variants=["nominal", "seed"])
    return values


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_values: dict[str, Any]) -> Snakemake:
    """Run the tiny campaign up to its summary, once per test session; tests compare with it, or copy it."""
    snakemake = Snakemake(tmp_path_factory.mktemp("undisturbed"), tiny_values)
    snakemake("evaluation")
    return snakemake


@pytest.fixture
def no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the alarms off: a few steps on a toy do not spread the latents, and the alarms have tests of their own."""
    from rs3l.pretrain import pretrain

    monkeypatch.setattr(pretrain, "refuse_collapse", lambda *_: None)
