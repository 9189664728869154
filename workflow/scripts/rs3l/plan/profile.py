"""A profile's resources compared with a plan: what does not fit, and the lines that would."""

from __future__ import annotations

import ast
import json
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import humanfriendly

from rs3l.config.yaml_file import read_mapping
from rs3l.errors import ConfigError
from rs3l.figures.registry import MEMORY_MB, MINUTES
from rs3l.plan.lines import Line, Machines
from rs3l.plan.stages import ALL_STAGES

SNAKEMAKE_MB = 300
"""Memory of the two Snakemake processes inside each job of a cluster (docs/cluster.md)."""
MARGIN = 1.25
"""Memory of the lines that are proposed, over what is planned."""
TIME_MARGIN = 2.0
"""Wall time of the lines that are proposed, over what is planned; machines differ more in it than in memory."""

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_SIGNS = ",:{}[]#&!|>'\"%@`"
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"min": min, "max": max}


@dataclass(frozen=True)
class Ask:
    """What a profile asks for a rule's jobs: its entry of ``set-resources``, on top of ``default-resources``."""

    rule: str
    resources: Mapping[str, Any]

    def number(self, name: str, attempt: int = 1) -> float:
        """Return a resource at an attempt, 0 if not named; raises :class:`ConfigError` if it is no number."""
        return value_of(self.resources.get(name, 0), attempt, f"set-resources of {self.rule}: {name}")

    @property
    def gpus(self) -> int:
        """Number of GPUs of a job."""
        return int(self.number("gpu"))

    @property
    def tasks(self) -> int:
        """Number of processes that a profile starts for a job."""
        return max(int(self.number("tasks")), 1)


@dataclass(frozen=True)
class Profile:
    """The part of a profile that says what jobs get."""

    path: Path
    defaults: Mapping[str, Any]
    rules: Mapping[str, Mapping[str, Any]]
    attempts: int

    def ask(self, rule: str) -> Ask:
        """Return what the jobs of a rule ask for."""
        return Ask(rule, {**_with_units(self.defaults), **_with_units(self.rules.get(rule, {}))})


@dataclass(frozen=True)
class Limits:
    """The largest memory of a node [MB] and the longest job of a partition [hours], None where not known."""

    node_mb: float | None = None
    hours: float | None = None


def load_profile(folder: str | Path) -> Profile:
    """Return the profile in a folder; raises :class:`ConfigError` if it cannot be read."""
    path = Path(folder) / "config.yaml"
    if not path.is_file():
        raise ConfigError(
            f"{folder}: no profile: a folder with a file config.yaml is expected, like profiles/slurm"
        )
    values = read_mapping(path)
    rules = values.get("set-resources") or {}
    defaults = values.get("default-resources") or {}
    for key, value in (("set-resources", rules), ("default-resources", defaults)):
        if not isinstance(value, dict):
            raise ConfigError(f"{path}: {key}: a mapping of rules or resources is expected")
    for rule, resources in rules.items():
        if not isinstance(resources, dict):
            raise ConfigError(f"{path}: set-resources: {rule}: a mapping of resources is expected")
    return Profile(path, defaults, rules, 1 + int(value_of(values.get("retries") or 0, 1, f"{path}: retries")))


def machines_of(profile: Profile, gpu_speed: float | None = None, ranks: int = 1) -> Machines:
    """Return what a profile gives the jobs: its GPUs, and the ranks that it names or else ``ranks``."""
    asks = {stage: profile.ask(what.rules[0]) for stage, what in ALL_STAGES.items()}
    gpus = {stage: ask.gpus for stage, ask in asks.items() if ask.gpus}
    return Machines(gpus, gpu_speed, max(ranks, asks["pretrain"].tasks))


def _with_units(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return resources with memory as ``mem_mb`` [MB] and times in minutes, from ``mem: 8GB`` and ``runtime: 4h``.

    A text with another unit stays as it is, and so does an expression.
    """
    found = {"mem_mb" if name == "mem" else name: _number(name, value) for name, value in resources.items()}
    if "mem_mib" in found:
        found["mem_mb"] = f"({found.pop('mem_mib')}) * 1.048576"
    return found


def _number(name: str, value: Any) -> Any:
    """Return a text with a unit as MB or minutes, rounded as Snakemake does; another value as it is."""
    if not isinstance(value, str) or value.isdecimal():
        return value
    try:
        if name == "mem":
            return math.ceil(humanfriendly.parse_size(value) / 1e6)
        return max(round(humanfriendly.parse_timespan(value)) // 60, 1) if name == "runtime" else value
    except (humanfriendly.InvalidSize, humanfriendly.InvalidTimespan):
        return value


def value_of(value: object, attempt: int, where: str) -> float:
    """Return a resource as a number, which is one or an expression of ``attempt`` like ``8000 * attempt``.

    Raises :class:`ConfigError` for anything else, because nothing else is evaluated here.
    """
    try:
        return float(_evaluated(ast.parse(str(value), mode="eval").body, attempt))
    except (SyntaxError, ValueError, TypeError, ArithmeticError):
        raise ConfigError(f"{where}: {value!r} is no number and no expression of `attempt` alone") from None


def _evaluated(node: ast.expr, attempt: int) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id="attempt"):
            return attempt
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return float(_OPERATORS[type(op)](_evaluated(left, attempt), _evaluated(right, attempt)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return float(_FUNCTIONS[name](*(_evaluated(arg, attempt) for arg in args)))
    raise ValueError(ast.dump(node))


def needed_mb(line: Line) -> float:
    """Return the memory of a job on a cluster [MB], with Snakemake's own processes."""
    return line.memory_mb + SNAKEMAKE_MB


def asked_rules(line: Line, profile: Profile) -> list[str]:
    """Return the rules of a stage that have jobs, and an entry in a profile."""
    return [rule for rule in line.rules if rule in profile.rules]


def misfits(lines: Sequence[Line], profile: Profile, limits: Limits) -> list[str]:
    """Return a sentence for each job that will not fit what the profile asks, a node, or a partition."""
    return list(dict.fromkeys(text for line in lines for text in _misfits(line, profile, limits)))


def _misfits(line: Line, profile: Profile, limits: Limits) -> Iterator[str]:
    yield from _node(line, limits)
    if line.stage == "figures":
        yield from _figures(line)
    for rule in asked_rules(line, profile):
        ask = profile.ask(rule)  # what it does not name is as the rule says
        yield from _memory(line, ask, profile, limits) if "mem_mb" in ask.resources else ()
        yield from _time(line, ask, profile, limits) if "runtime" in ask.resources else ()


def _node(line: Line, limits: Limits) -> Iterator[str]:
    if limits.node_mb is not None and needed_mb(line) > limits.node_mb:
        yield (
            f"{line.stage} needs {_gb(needed_mb(line))}: it does not fit a node of {_gb(limits.node_mb)} "
            f"({REMEDIES.get(line.stage, 'smaller shards or parts')})"
        )


def _figures(line: Line) -> Iterator[str]:
    """Yield whether figures need more memory or time than their rules say, which no profile lists."""
    if needed_mb(line) > MEMORY_MB:
        yield (
            f"figures need {_gb(needed_mb(line))} at attempt 1: their rules ask {_gb(MEMORY_MB)}; give the "
            f"profile lines like `plot_jet_mass: {{mem_mb: {_up(MARGIN * needed_mb(line), 500)} * attempt}}`"
        )
    if 60 * line.job_hours > MINUTES:
        yield f"figures take {60 * line.job_hours:.0f} minutes: their rules ask {MINUTES} at attempt 1"


REMEDIES: Mapping[str, str] = {
    "merge": "lower dataset.events_per_part, or give it fewer threads",
    "pretrain": "pretrain.loop.stream: true, or fewer ranks",
    "finetune": "fewer finetune.labels, or no mode that learns from all views",
    "quality": "lower evaluate.quality_events",
    "measure": "a smaller dataset.splits.test",
}
"""The key that makes a stage's jobs smaller."""


def _memory(line: Line, ask: Ask, profile: Profile, limits: Limits) -> Iterator[str]:
    """Yield what is wrong with the memory of a rule's jobs."""
    first, last = ask.number("mem_mb"), ask.number("mem_mb", profile.attempts)
    if needed_mb(line) > first:
        yield f"{ask.rule} needs {_gb(needed_mb(line))} at attempt 1: the profile asks {_gb(first)}"
    if limits.node_mb is not None and last > limits.node_mb:
        number = next(n for n in range(1, profile.attempts + 1) if ask.number("mem_mb", n) > limits.node_mb)
        yield (
            f"{ask.rule} asks {_gb(ask.number('mem_mb', number))} at attempt {number}: no node of "
            f"{_gb(limits.node_mb)} can start it"
        )


def _time(line: Line, ask: Ask, profile: Profile, limits: Limits) -> Iterator[str]:
    """Yield what is wrong with the wall time of a rule's jobs."""
    hours = [ask.number("runtime", n) / 60 for n in range(1, profile.attempts + 1)]
    if limits.hours is not None and max(hours) > limits.hours:
        yield (f"{ask.rule} asks {max(hours):g} h at the last attempt: the partition gives {limits.hours:g} h")
    allowed = [min(value, limits.hours or value) for value in hours]
    if ALL_STAGES[line.stage].resumes:
        if line.job_hours > sum(allowed):
            yield (
                f"{ask.rule} takes {line.job_hours:.1f} h: all its {profile.attempts} attempts together have "
                f"{sum(allowed):.1f} h (more retries, ranks or a GPU)"
            )
    elif line.job_hours > allowed[0]:
        yield f"{ask.rule} takes {line.job_hours:.1f} h: the profile gives it {allowed[0]:.1f} h at attempt 1"


def set_resources(lines: Sequence[Line], profile: Profile, limits: Limits) -> str:
    """Return the block ``set-resources`` of a profile that fits the plan.

    Entries of rules that have no jobs, and resources other than memory and time, are as they are. What no node can
    hold is named in a comment.
    """
    planned = {rule: line for line in lines for rule in asked_rules(line, profile)}
    entries = [
        f"  {rule}: {{{', '.join(_entry(planned.get(rule), profile, rule, limits))}}}" for rule in profile.rules
    ]
    too_large = [f"  # {text}" for line in lines for text in _node(line, limits)]
    return "\n".join(["set-resources:", *too_large, *entries])


def _entry(line: Line | None, profile: Profile, rule: str, limits: Limits) -> list[str]:
    values = dict(profile.rules[rule])
    if line is not None:
        values["mem_mb"] = _memory_of_attempts(_up(MARGIN * needed_mb(line), 500), profile.attempts, limits)
        values["runtime"] = _minutes_of_attempts(line, profile.attempts, limits)
    return [f"{key}: {_yaml(value)}" for key, value in values.items()]


def _yaml(value: object) -> str:
    """Return a value inside the braces of a mapping, in quotes where it has signs of YAML."""
    quoted = isinstance(value, str) and not set(value).isdisjoint(_SIGNS)
    return json.dumps(value) if quoted else str(value)


def _memory_of_attempts(first: int, attempts: int, limits: Limits) -> str:
    """Return an expression of ``attempt`` that ends at the memory of a node."""
    growing = f"{first} * attempt"
    fits = limits.node_mb is None or first * attempts <= limits.node_mb
    return growing if fits else f"min({growing}, {limits.node_mb:.0f})"


def _minutes_of_attempts(line: Line, attempts: int, limits: Limits) -> str:
    """Return an expression of ``attempt`` so that one attempt is enough, or all together for a job that goes on.

    It ends at the longest job of the partition, which a job that goes on asks for at once where it binds.
    """
    wanted = 60 * TIME_MARGIN * line.job_hours
    if ALL_STAGES[line.stage].resumes:
        wanted /= attempts * (attempts + 1) / 2
    first = max(_up(wanted, 30), 30)
    longest = first * attempts if limits.hours is None else int(60 * limits.hours)
    if first * attempts <= longest:
        return f"{first} * attempt"
    at_once = ALL_STAGES[line.stage].resumes or first >= longest
    return str(longest) if at_once else f"min({first} * attempt, {longest})"


def _up(value: float, step: int) -> int:
    return step * math.ceil(value / step)


def _gb(megabytes: float) -> str:
    return f"{megabytes / 1000:,.1f} GB".replace(".0 GB", " GB")
