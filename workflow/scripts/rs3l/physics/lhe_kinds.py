"""Samples that a shower cannot simply continue: merged, MC@NLO, POWHEG. Recognised by what their headers say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rs3l.config.models import SampleKind
from rs3l.errors import DataError

_NUMBER = r"([-+]?[\d.]+(?:[eEdD][-+]?\d+)?)"
_MERGED_KEYS = ("ickkw", "ktdurham", "ptlund", "nqmatch")
_SHOWER = re.compile(r"^\s*'?(\w+)'?\s*=\s*parton_shower\b", re.MULTILINE)
_MULTIPLICITY = re.compile(r"\bnp(?:LO|NLO)\s*=\s*[\"']\s*(-?\d+)")
_DECLARED = (
    re.compile(r"Number of Events\s*:\s*(\d+)"),
    re.compile(r"^\s*numevts\s+(\d+)", re.MULTILINE),
)

_REASONS: dict[SampleKind, str] = {
    "merged": "a merged sample (MLM, CKKW-L, FxFx, UNLOPS): its multiplicities overlap once they are showered, "
    "and the veto that undoes this is not part of the re-simulation. Use one multiplicity without merging",
    "mcatnlo": "MC@NLO events: their counter-terms belong to one shower with certain settings, which the "
    "variants change. Use leading-order events; or accept the kind, to shower with the settings for them",
    "powheg": "POWHEG events: the shower must not radiate harder than POWHEG did. Accept the kind to start the "
    "showers at SCALUP (pTmaxMatch = 1); the veto of POWHEG:veto needs Pythia's PowhegHooks, which its Python "
    "package does not have",
    "short": "fewer events than its header declares. Get or generate the file again; or accept the kind, if a "
    "longer file was split",
}


def kinds(head: str, first_event: str, events: int) -> list[SampleKind]:
    """Return what must be accepted of a sample with this head, this first event and this number of events."""
    declared = declared_events(head)
    found: dict[SampleKind, bool] = {
        "merged": _is_merged(head, first_event),
        "mcatnlo": matched_shower(head) is not None,
        "powheg": re.search("powheg", head, re.IGNORECASE) is not None,
        "short": declared is not None and events < declared,
    }
    return [kind for kind, yes in found.items() if yes]


def check_kinds(path: str, head: str, found: Iterable[SampleKind], accepted: Sequence[SampleKind]) -> None:
    """Raise :class:`DataError` for a sample of a kind that the process does not accept."""
    shower = matched_shower(head)
    if shower is not None and not shower.upper().startswith("PYTHIA8"):
        raise DataError(
            f"{path}: MC@NLO events for the shower {shower}: Pythia must not continue them; generate them with "
            "`parton_shower = PYTHIA8`, or at leading order"
        )
    for kind in found:
        if kind not in accepted:
            raise DataError(f"{path}: {_REASONS[kind]} (`lhe_accept: [{kind}]`)")


def declared_events(head: str) -> int | None:
    """Return the number of events that MadGraph or POWHEG wrote into the head, if any."""
    found = [int(match[1]) for pattern in _DECLARED if (match := pattern.search(head))]
    return found[0] if found else None


def matched_shower(head: str) -> str | None:
    """Return the shower that MC@NLO events are made for."""
    match = _SHOWER.search(head)
    return match[1] if match else None


def _is_merged(head: str, first_event: str) -> bool:
    """MadGraph's run card, CMS's copy of the matching parameters, or multiplicities at the events."""
    cards = [_card_value(head, key) > 0 for key in _MERGED_KEYS]
    multiplicities = _MULTIPLICITY.findall(first_event.partition(">")[0])
    return any(cards) or any(int(n) >= 0 for n in multiplicities)


def _card_value(head: str, key: str) -> float:
    """Return the value of a key in a run card, ``value = key`` or ``key = value``; -1 if it is not there."""
    match = re.search(rf"^\s*{_NUMBER}\s*=\s*{key}\b|^\s*{key}\s*=\s*{_NUMBER}", head, re.MULTILINE)
    return float(re.sub("[dD]", "e", match[1] or match[2])) if match else -1.0
