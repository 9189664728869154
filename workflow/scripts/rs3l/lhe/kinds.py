"""Kinds of samples that a shower cannot simply continue (merged, MC@NLO, POWHEG), recognised by their headers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from rs3l.config.base import SampleKind
from rs3l.errors import DataError

# These are possessive and stay within a line, because a head of many megabytes is searched once for each.
_NUMBER = r"([-+]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eEdD][-+]?\d{1,3})?)"
_MERGED_KEYS = ("ickkw", "ktdurham", "ptlund", "nqmatch")
_SHOWER = re.compile(r"^[ \t]*+'?(\w++)'?[ \t]*+=[ \t]*+parton_shower\b", re.MULTILINE)
_LABEL = re.compile(r"\b(npLO|npNLO)\s*+=\s*+[\"']\s*+(-?\d{1,9})")
_DECLARED = (
    re.compile(r"Number of Events[ \t]*+:[ \t]*+(\d{1,18})"),
    re.compile(r"^[ \t]*+numevts[ \t]++(\d{1,18})", re.MULTILINE),
)

_REASONS: dict[SampleKind, str] = {
    "merged": "a sample of several multiplicities (MLM, CKKW-L, FxFx, UNLOPS): they overlap once they are "
    "showered, and the veto that undoes this is not part of the re-simulation. Use one multiplicity",
    "mcatnlo": "MC@NLO events: their counter-terms belong to one shower with certain settings, which the "
    "variants change. Use leading-order events; or accept the kind, to shower with the settings for them",
    "powheg": "POWHEG events: the shower must not radiate harder than POWHEG did. Accept the kind to start the "
    "showers at SCALUP (pTmaxMatch = 1); the veto of POWHEG:veto needs Pythia's PowhegHooks, which its Python "
    "package does not have; docs/hard.md says what that costs",
    "short": "fewer events than its header declares. Get or generate the file again; or accept the kind, if a "
    "longer file was split",
}


Label = tuple[str, int]
"""The multiplicity that a generator writes at an event for merging: ``npLO`` or ``npNLO``, and its number."""


def labels(event: str) -> set[Label]:
    """Return the labels of an event from its opening tag, where -1 means that there is none."""
    return {(kind, int(n)) for kind, n in _LABEL.findall(event.partition(">")[0]) if int(n) >= 0}


def kinds(
    head: str, first_event: str, events: int, multiplicities: Collection[int], found: Collection[Label]
) -> list[SampleKind]:
    """Return the kinds of a sample that a process must accept.

    They follow from the head, the first event, the number of events, the numbers of partons that leave the hard
    processes, and the labels of the events. Events with and without another parton overlap once they are showered,
    unless POWHEG or MC@NLO made them. MC@NLO labels its events even where nothing is merged.
    """
    declared = declared_events(head)
    nlo = {number for kind, number in found if kind == "npNLO"}
    powheg = re.search("powheg", head, re.IGNORECASE) is not None
    mcatnlo = matched_shower(head) is not None or bool(nlo) or "#aMCatNLO" in first_event
    overlap = len(multiplicities) > 1 and not (powheg or mcatnlo)
    labelled = len(nlo) > 1 or any(kind == "npLO" for kind, _ in found)
    answers: dict[SampleKind, bool] = {
        "merged": overlap or labelled or any(_card_value(head, key) > 0 for key in _MERGED_KEYS),
        "mcatnlo": mcatnlo,
        "powheg": powheg,
        "short": declared is not None and events < declared,
    }
    return [kind for kind, yes in answers.items() if yes]


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


def _card_value(head: str, key: str) -> float:
    """Return the value of a key in a run card, ``value = key`` or ``key = value``, or -1 if it is not there."""
    blank = r"[ \t]*+"
    line = rf"^{blank}(?:{_NUMBER}{blank}={blank}{key}\b|{key}{blank}={blank}{_NUMBER})"
    match = re.search(line, head, re.MULTILINE)
    return float(re.sub("[dD]", "e", match[1] or match[2])) if match else -1.0
