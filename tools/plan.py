"""Print what a campaign will cost: jobs, core hours, memory, disk and time of each stage, and what will not fit.

Without --measured, the costs are those of benchmarks/costs.json, and its machine is named. Nothing is run.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

from rs3l.config import Campaign, blocks, load_campaign
from rs3l.errors import CampaignError, ConfigError
from rs3l.files import write_text, written
from rs3l.plan import CostTable, Line, Machines, load_costs, measured, plan, scaled, text
from rs3l.plan.docs import documents
from rs3l.plan.profile import Limits, Profile, load_profile, machines_of, misfits, set_resources
from rs3l.streams import speak_any_locale

REPOSITORY = Path(__file__).resolve().parent.parent


def above_zero(kind: Callable[[str], float]) -> Callable[[str], float]:
    """Return the type of an argument that is a finite number above 0, as ``kind`` (int, float) reads it."""

    def read(text: str) -> float:
        value = kind(text)
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"a number above 0 is expected, found {text}")
        return value

    read.__name__ = kind.__name__  # in the words of argparse for what is no number
    return read


COUNT, NUMBER = above_zero(int), above_zero(float)


def arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="config/config.yaml", help="the campaign that is planned")
    parser.add_argument("--cores", type=COUNT, default=1, help="cores at work at the same time")
    parser.add_argument("--events-per-shard", type=COUNT, help="in place of the configuration's")
    parser.add_argument("--jets", type=NUMBER, help="as many hard events as give this many jets, e.g. 1e8")
    parser.add_argument("--ablations", action="store_true", help="with the target `ablations`")
    costs = parser.add_argument_group("costs")
    costs.add_argument("--costs", default=REPOSITORY / "benchmarks" / "costs.json", help="table of costs")
    costs.add_argument("--measured", help="folder of a finished campaign: its costs replace the table's")
    costs.add_argument("--measured-config", help="the configuration of that campaign; default: --config")
    jobs = parser.add_argument_group("what jobs get")
    jobs.add_argument("--profile", default=REPOSITORY / "profiles" / "slurm", help="folder of a profile")
    jobs.add_argument("--node-memory", type=NUMBER, help="memory of the largest node [GB]")
    jobs.add_argument("--time-limit", type=NUMBER, help="longest job of the partition [hours]")
    jobs.add_argument(
        "--gpu-speed", type=NUMBER,
        help="a GPU is taken to be so many times faster than a core, where the profile asks for one; not measured",
    )  # fmt: skip
    jobs.add_argument(
        "--ranks", type=COUNT, default=1, help="processes of a pre-training, if its profile names none"
    )
    jobs.add_argument("--set-resources", action="store_true", help="print the lines of the profile that would fit")
    parser.add_argument("--docs", action="store_true", help="renew the tables of the documents; nothing else")
    return parser.parse_args()


def costs_of(args: argparse.Namespace) -> CostTable:
    """Return the table of costs, or what a finished campaign says."""
    table = load_costs(args.costs)
    if args.measured is None:
        return table
    return measured(load_campaign(args.measured_config or args.config), args.measured, table)


def campaign_of(args: argparse.Namespace, costs: CostTable) -> Campaign:
    """Return the campaign that is planned."""
    config = load_campaign(args.config)
    if config.source and (args.jets is not None or args.events_per_shard is not None):
        raise ConfigError("--jets and --events-per-shard are of a simulation: these jets come from files (source)")
    if args.jets is not None:
        config = scaled(config, args.jets, costs)
    if args.events_per_shard is not None:
        config = config.model_copy(update={"events_per_shard": args.events_per_shard})
    return config


def limits_of(args: argparse.Namespace) -> Limits:
    """Return the limits of nodes and partition."""
    return Limits(None if args.node_memory is None else 1000 * args.node_memory, args.time_limit)


def notes(costs: CostTable, machines: Machines) -> list[str]:
    """Return where the numbers come from, and what is assumed."""
    per_event = costs.stages["resimulate"].unit_s
    estimates = [stage for stage, cost in costs.stages.items() if not cost.jobs]
    return [
        f"10^6 showers per hour keep {1e6 * per_event / 3600:.1f} cores busy ({1000 * per_event:.1f} ms each)",
        f"costs: {costs.how}; {costs.machine}, {costs.date}",
        *([f"estimates, not measured: {', '.join(estimates)}"] if estimates else []),
        *([f"networks, relative to each other: {costs.encoders_how}"] if costs.encoders_how else []),
        *machines.assumptions(),
    ]


def pool_note(config: Campaign) -> list[str]:
    """Return how often the events of the pile-up pool are used, or nothing without pile-up."""
    if not blocks.has_pileup(config):
        return []
    events = config.pileup.events
    return [f"each of the {events:,} minimum-bias events is used {blocks.pool_uses(config):,.0f} times on average"]


def fit_text(lines: list[Line], profile: Profile, limits: Limits) -> str:
    """Return what does not fit, or that everything does."""
    found = misfits(lines, profile, limits)
    node = "" if limits.node_mb is None else f" and on nodes of {limits.node_mb / 1000:g} GB"
    if not found:
        return f"{profile.path}: every job fits what it asks{node}"
    return "\n".join([f"{profile.path}:", *(f"  {problem}" for problem in found)])


def renew() -> None:
    """Write the tables of all documents."""
    for path, content in documents(REPOSITORY).items():
        write_text(path, content)
    print("\n".join(written()))


def main() -> None:
    """Print the plan, or renew the documents."""
    speak_any_locale()
    args = arguments()
    if args.docs:
        renew()
        return
    costs, profile, limits = costs_of(args), load_profile(args.profile), limits_of(args)
    machines = machines_of(profile, args.gpu_speed, args.ranks)
    config = campaign_of(args, costs)
    lines = plan(config, costs, args.ablations, machines)
    if args.set_resources:
        print(set_resources(lines, profile, limits))
        return
    used = pool_note(config)
    print(text(lines, args.cores), "", *used, *notes(costs, machines), "", sep="\n")
    print(fit_text(lines, profile, limits))


if __name__ == "__main__":
    try:
        main()
    except CampaignError as error:
        sys.exit(f"error: {error}")
