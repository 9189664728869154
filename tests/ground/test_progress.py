"""The progress display: counts, rates and time left."""

from snakemake_logger_plugin_campaign.progress import GUESS, Progress


def test_counts_rates_and_time_left() -> None:
    progress = Progress()
    progress.cores = 2
    progress.plan({"resimulate": 4, "merge": 1, "all": 1})
    assert progress.plan_line() == "to do: 4 re-simulation, 1 merge, 1 figures and targets"
    for job in range(2):
        progress.announce(job, "resimulate", 500)
        progress.start(job, 100.0)
        progress.finish(job, 110.0)
    expected = (2 * 10 + GUESS["merge"] * 10 / GUESS["resimulate"] + 5.0 * 10 / GUESS["resimulate"]) / 2
    assert progress.remaining() == expected
    line = progress.line(110.0)
    assert line.startswith("0:10  re-simulation   2/4 jobs  100 events/s  campaign 2/6  about 0:")
    assert not progress.complete


def test_rules_of_a_module_are_those_of_their_stage() -> None:
    progress = Progress()
    progress.plan({"theirs_resimulate_together": 2, "theirs_plot_roc": 1, "theirs_evaluate": 1})
    assert progress.plan_line() == "to do: 2 re-simulation of one shower, 1 evaluation, 1 figures and targets"
    progress.announce(0, "theirs_evaluate", 0)
    progress.start(0, 5.0)
    progress.finish(0, 7.0)
    assert "evaluation      1/1 jobs" in progress.line(7.0)


def test_the_end_is_said() -> None:
    progress = Progress()
    progress.plan({"merge": 1})
    progress.announce(0, "merge", 0)
    progress.start(0, 5.0)
    progress.finish(0, 70.0)
    assert progress.complete
    assert progress.line(70.0) == "1:05  merge           1/1 jobs  campaign 1/1  done"


def test_what_runs_is_said_where_nothing_ends() -> None:
    progress = Progress()
    progress.plan({"pretrain": 2, "plot_roc": 1})
    assert not progress.is_running
    for job, rule in enumerate(("pretrain", "pretrain", "plot_roc")):
        progress.announce(job, rule, 0)
        progress.start(job, 5.0)
    progress.finish(0, 40.0)
    line = progress.running_line(50.0)
    assert line.startswith("0:45  running: 1 pre-training, 1 figures  campaign 1/3  about ")
    progress.finish(1, 60.0)
    progress.fail(2)
    assert not progress.is_running
