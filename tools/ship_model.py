"""Make the model that ships with the package, its card, its sample of jets and their latents from a campaign."""

from __future__ import annotations

import argparse
import sys

from rs3l.errors import CampaignError
from rs3l.files import written
from rs3l.models import FOLDER
from rs3l.models.ship import ship


def main() -> None:
    """Ship a run of a finished campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaign", help="folder with its results, e.g. results/demo")
    parser.add_argument("--run", default="rs3l_s0", help="the pre-training (default %(default)s)")
    parser.add_argument(
        "--folder", default=str(FOLDER / "demo"), help="where to; must not exist (default: in the package)"
    )
    parser.add_argument("--page", help="a copy of the card to write, e.g. docs/model.md")
    parser.add_argument(
        "--events", type=int, nargs=3, metavar=("TRAIN", "VAL", "TEST"), default=(40, 20, 40),
        help="hard events of each process in the sample (default 40 20 40)",
    )  # fmt: skip
    args = parser.parse_args()
    try:
        events = dict(zip(("train", "val", "test"), args.events, strict=True))
        ship(args.campaign, args.folder, args.run, args.page, events)
        print("\n".join(written()))
    except CampaignError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
