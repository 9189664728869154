"""What the two sides of a task are called in figures and in the report."""

from __future__ import annotations

from rs3l.config.tasks import Task

LABELS = {"higgs_bb": "H", "qcd": "QCD"}


def test_sides_are_called_by_their_processes() -> None:
    task = Task(signal="higgs_bb", background="qcd", background_types=["q"])
    assert [task.label(role, LABELS) for role in ("signal", "background")] == ["H", "QCD"]
    assert Task(signal="other", background="qcd").label("signal", LABELS) == "other"


def test_sides_of_one_process_are_told_apart_by_their_types() -> None:
    types = {"signal_types": ["q", "c", "b"], "background_types": ["g", "g_qq", "g_cc", "g_bb"]}
    task = Task(signal="qcd", background="qcd", **types)
    assert [task.label(role, LABELS) for role in ("signal", "background")] == ["QCD (q, c, b)", "QCD (g, …)"]
