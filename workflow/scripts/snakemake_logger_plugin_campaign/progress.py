"""Computes what is done, how fast it goes, and how long the rest will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

STAGES = {
    "index_lhe": "external files",
    "hard_process": "hard process",
    "pileup": "pile-up pool",
    "resimulate": "re-simulation",
    "resimulate_together": "re-simulation of one shower",
    "merge": "merge",
    "import_file": "import",
    "import_dataset": "data set of files",
    "pretrain": "pre-training",
    "embed": "latents",
    "quality": "quality of latents",
    "finetune": "fine-tuning",
    "score": "scores",
    "measure": "measures",
    "evaluate": "evaluation",
    "report": "report",
}
"""The progress names these rules, and every other rule counts as `figures`."""

GUESS = {
    "index_lhe": 10.0,
    "hard_process": 2.0,
    "pileup": 100.0,
    "resimulate": 12.0,
    "resimulate_together": 20.0,
    "merge": 10.0,
    "import_file": 60.0,
    "import_dataset": 3.0,
    "pretrain": 40.0,
    "embed": 5.0,
    "quality": 6.0,
    "finetune": 25.0,
    "score": 5.0,
    "measure": 5.0,
    "evaluate": 5.0,
}
"""These core seconds per job count until the first of its kind has finished; only their ratios matter then."""
_OTHER = 5.0


def plain(rule: str) -> str:
    """Return the name of a rule without the prefix that another workflow has given it (`use rule * from`)."""
    return next((name for name in sorted(STAGES, key=len, reverse=True) if rule.endswith(f"_{name}")), rule)


class Progress:
    """Counts jobs, events and seconds, and knows nothing of Snakemake."""

    def __init__(self) -> None:
        self.cores = 1
        self._planned: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._rule: dict[int, str] = {}
        self._events: dict[int, int] = {}
        self._started: dict[int, float] = {}
        self._first_start: dict[str, float] = {}
        self._events_done: Counter[str] = Counter()
        self._start: float | None = None
        self._last = "hard_process"

    def plan(self, jobs: Mapping[str, int]) -> None:
        """Set the number of jobs of each rule."""
        self._planned = Counter()
        for rule, count in jobs.items():
            self._planned[plain(rule)] += count

    def announce(self, job: int, rule: str, events: int) -> None:
        """Name a job by its rule and the hard events that it works on."""
        self._rule[job], self._events[job] = plain(rule), events

    def start(self, job: int, now: float) -> None:
        """Note the start of a job, in seconds of any clock."""
        self._start = now if self._start is None else self._start
        self._started[job] = now

    def finish(self, job: int, now: float) -> None:
        """Note the end of a job."""
        rule, started = self._rule.get(job, ""), self._started.pop(job, now)
        self._done[rule] += 1
        self._seconds[rule] += now - started
        self._first_start[rule] = min(started, self._first_start.get(rule, started))
        self._events_done[rule] += self._events.get(job, 0)
        self._last = rule

    def fail(self, job: int) -> None:
        """Note that a job has failed; it may be started again."""
        self._started.pop(job, None)

    @property
    def complete(self) -> bool:
        """Whether every planned job is done."""
        return sum(self._done.values()) >= sum(self._planned.values())

    def plan_line(self) -> str:
        """Return a line that says what will run."""
        parts = [f"{n} {STAGES[rule]}" for rule, n in self._planned.items() if rule in STAGES]
        other = sum(n for rule, n in self._planned.items() if rule not in STAGES)
        return "to do: " + ", ".join([*parts, f"{other} figures and targets"] if other else parts)

    def line(self, now: float) -> str:
        """Return a line with elapsed time, stage, jobs, events/s and time left."""
        rule = self._last
        elapsed = now - (now if self._start is None else self._start)
        parts = [_clock(elapsed), f"{STAGES.get(rule, 'figures'):<13} {self._stage_count(rule)} jobs"]
        if self._events_done[rule]:
            rate = self._events_done[rule] / max(now - self._first_start[rule], 1e-3)
            parts.append(f"{rate:.0f} events/s")
        done, total = sum(self._done.values()), sum(self._planned.values())
        parts.append(f"campaign {done}/{total}")
        parts.append("done" if self.complete else f"about {_clock(self.remaining())} left")
        return "  ".join(parts)

    def running_line(self, now: float) -> str:
        """Return a line with elapsed time, what runs and time left, for a time in which no job ends."""
        names = Counter(STAGES.get(self._rule.get(job, ""), "figures") for job in self._started)
        running = ", ".join(f"{number} {name}" for name, number in names.items())
        elapsed = now - (now if self._start is None else self._start)
        done, total = sum(self._done.values()), sum(self._planned.values())
        left = f"about {_clock(self.remaining())} left"
        return "  ".join([_clock(elapsed), f"running: {running}", f"campaign {done}/{total}", left])

    @property
    def is_running(self) -> bool:
        """Whether a job runs."""
        return bool(self._started)

    def remaining(self) -> float:
        """Return the seconds left, from the mean of a kind's finished jobs or its guess scaled to this machine."""
        finished = [rule for rule in self._done if self._done[rule] and self._seconds[rule]]
        measured = sum(self._seconds[rule] for rule in finished)
        guessed = sum(self._done[rule] * GUESS.get(rule, _OTHER) for rule in finished)
        scale = measured / guessed if guessed else 1.0
        left = 0.0
        for rule, planned in self._planned.items():
            mean = self._seconds[rule] / self._done[rule] if rule in finished else scale * GUESS.get(rule, _OTHER)
            left += mean * max(planned - self._done[rule], 0)
        return left / self.cores

    def _stage_count(self, rule: str) -> str:
        rules = [rule] if rule in STAGES else [r for r in self._planned if r not in STAGES]
        return f"{sum(self._done[r] for r in rules):>3}/{sum(self._planned[r] for r in rules)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:d}:{rest:02d}"
