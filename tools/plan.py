"""Print what a campaign will cost: jobs, core hours, memory, disk and time of each stage.

Without --measured, the costs are those of benchmarks/costs.json, and its machine is named. Nothing is run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rs3l.config import load_campaign
from rs3l.errors import CampaignError
from rs3l.plan import CostTable, load_costs, measured, plan, scaled, text
from rs3l.streams import speak_any_locale

REPOSITORY = Path(__file__).resolve().parent.parent


def arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="config/config.yaml", help="the campaign that is planned")
    parser.add_argument("--cores", type=int, default=1, help="cores at work at the same time")
    parser.add_argument("--events-per-shard", type=int, help="in place of the configuration's")
    parser.add_argument("--jets", type=float, help="as many hard events as give this many jets, e.g. 1e8")
    parser.add_argument("--costs", default=REPOSITORY / "benchmarks" / "costs.json", help="table of costs")
    parser.add_argument("--measured", help="folder of a finished campaign: its costs replace the table's")
    parser.add_argument("--measured-config", help="the configuration of that campaign; default: --config")
    return parser.parse_args()


def costs_of(args: argparse.Namespace) -> CostTable:
    """Return the table of costs, or what a finished campaign says."""
    table = load_costs(args.costs)
    if args.measured is None:
        return table
    return measured(load_campaign(args.measured_config or args.config), args.measured, table)


def main() -> None:
    """Print the plan."""
    speak_any_locale()
    args = arguments()
    config, costs = load_campaign(args.config), costs_of(args)
    if args.jets is not None:
        config = scaled(config, args.jets, costs)
    if args.events_per_shard is not None:
        config = config.model_copy(update={"events_per_shard": args.events_per_shard})
    per_event = costs.stages["resimulate"].unit_s
    print(text(plan(config, costs), args.cores))
    print(f"\n10^6 showers per hour keep {1e6 * per_event / 3600:.1f} cores busy ({1000 * per_event:.1f} ms each)")
    print(f"costs: {costs.how}; {costs.machine}, {costs.date}")
    if costs.encoders_how:
        print(f"networks, relative to each other: {costs.encoders_how}")


if __name__ == "__main__":
    try:
        main()
    except CampaignError as error:
        sys.exit(f"error: {error}")
