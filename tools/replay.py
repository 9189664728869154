"""Simulate one event of a campaign alone; print its record in Pythia and its row in the table of jets.

Says whether the row is that of the campaign, if this has been simulated; exit status 1 if it is not.
"""

from __future__ import annotations

import argparse
import json
import sys

from rs3l.config import load_campaign
from rs3l.errors import CampaignError
from rs3l.resim.replay import Replay, replay
from rs3l.streams import speak_any_locale

VERDICTS = {
    True: "the row of the campaign is the same, to the bit",
    False: "the row of the campaign DIFFERS: made with other settings, by another version of a program, or "
    "by a model that remembers the events before (docs/resim.md)",
    None: "the campaign has not simulated this event yet: nothing to compare with",
}


def show(result: Replay, variant: str) -> None:
    """Print the record, the row and the verdict."""
    result.showerer.list_event()
    row = result.row.to_pylist()[0]
    print(f"hard event {result.index} of {result.process} (shard {result.shard}) under {variant}:")
    print("\n".join(f"  {name}: {json.dumps(value)}" for name, value in row.items()))
    print(VERDICTS[result.identical])


def main() -> None:
    """Replay one event."""
    speak_any_locale()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="config/config.yaml", help="the campaign (default: the demo)")
    parser.add_argument("--event", type=int, required=True, help="event_id, as in the data set")
    parser.add_argument("--variant", default="nominal")
    parser.add_argument("--directory", default=".", help="where Snakemake runs, if elsewhere (default: here)")
    args = parser.parse_args()
    try:
        result = replay(load_campaign(args.config), args.event, args.variant, args.directory)
    except CampaignError as error:
        sys.exit(f"error: {error}")
    show(result, args.variant)
    sys.exit(result.identical is False)


if __name__ == "__main__":
    main()
