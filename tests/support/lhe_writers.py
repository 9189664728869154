"""Les Houches files in the manner of several generators, with the kinematics of real hard events."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rs3l.config.blocks import LheSource
from rs3l.lhe.lhe import HardEvent, Particle

ECM = 13000.0
RUN_CARD = """  {events} = nevents ! Number of unweighted events requested
  {ickkw}        = ickkw            ! 0 no matching, 1 MLM
  {ktdurham}     = ktdurham
  30.0 = xqcut ! minimum kt jet measure between partons
  {more}
"""

MADGRAPH = """<LesHouchesEvents version="3.0">
<header>
<!--
#  Web page at http://amcatnlo.web.cern.ch --- a comment that is no XML
-->
<MGVersion>
3.5.8
</MGVersion>
<MG5ProcCard>
generate p p > z j QED<=2 & QCD<=1
</MG5ProcCard>
<MGRunCard>
{card}</MGRunCard>
<MGGenerationInfo>
#  Number of Events        :       {declared}
#  Integrated weight (pb)  :       6.5
</MGGenerationInfo>
<initrwgt>
<weightgroup name="Central scale variation" combine="envelope">
<weight id="1001" MUR="0.5" MUF="0.5" PDF="247000" > MUR=0.5 MUF=0.5  </weight>
<weight id="1002" MUR="2.0" MUF="2.0" PDF="247000" > MUR=2.0 MUF=2.0  </weight>
</weightgroup>
</initrwgt>
</header>
<init>
2212 2212 {beam:.6e} {beam:.6e} 0 0 247000 247000 {strategy} 1
{sigma:.8e} 3.0e-02 6.5e+00 1
<generator name='MadGraph5_aMC@NLO' version='3.5.8'>please cite 1405.0301 </generator>
</init>
"""

POWHEG = """<LesHouchesEvents version="3.0">
<!--
file generated with POWHEG-BOX-V2
Input file powheg.input contained:
numevts {declared}    ! number of events to be generated
ih1   1               ! hadron 1 (1 for protons, -1 for antiprotons)
!---------------------------------- a line that no XML comment may have
End of powheg.input content
-->
<header>
<initrwgt>
<weightgroup name='nominal' combine='None'>
<weight id='0'>default</weight>
</weightgroup>
</initrwgt>
</header>
<init>
     2212     2212 {beam:14.7e} {beam:14.7e}     -1     -1     -1     -1     {strategy}      1
 {sigma:14.7e}  3.0e-02  1.00000E+00  10001
</init>
"""

SHERPA = """<LesHouchesEvents version="1.0">
<header>
<!--
# created by SHERPA 2.2.15
-->
</header>
<init>
2212 2212 {beam:.6f} {beam:.6f} 0 0 303600 303600 {strategy} 1
{sigma:.8f} 0.03 1 9999
</init>
"""

PYTHIA = """<LesHouchesEvents version="3.0">
<!--
  File written by Pythia8::LHAup on 25 Nov 2026 at 00:00:00
-->
<init>
  2212  2212  {beam:.6e}  {beam:.6e}  0  0  0  0  {strategy}  1
  {sigma:.6e}  3.0e-02  1.0e+00  9999
  <initrwgt>
    <weight id="up"> more </weight>
    <weight id="down"> less </weight>
  </initrwgt>
</init>
"""

STYLES = {
    "madgraph": (MADGRAPH, 3, 10),
    "powheg": (POWHEG, -4, 9),
    "sherpa": (SHERPA, 3, 10),
    "pythia": (PYTHIA, 3, 17),
}
"""Head, weighting strategy, and decimals of the momenta."""
WEIGHTS_IN_PB = 4


def head(style: str, events: int, **changes: object) -> str:
    """Return the text before the first event."""
    template, strategy, _ = STYLES[style]
    card = {"events": events, "ickkw": 0, "ktdurham": "-1.0", "more": ""}
    values = {"beam": ECM / 2, "strategy": strategy, "sigma": 6.5, "declared": events, **changes}
    values["card"] = RUN_CARD.format(**{**card, **{k: v for k, v in changes.items() if k in card}})
    return template.format(**values)


def event_text(style: str, event: HardEvent) -> str:
    """Return one event with what each generator appends to it."""
    decimals = STYLES[style][2]
    couplings = f"{event.alpha_qed:.17g} {event.alpha_qcd:.17g}"
    first = f" {len(event.particles)} 1 {event.weight:.17g} {event.scale:.17g} {couplings}"
    lines = ["<event>", first, *(_line(p, decimals) for p in event.particles)]
    return "\n".join([*lines, *_TAILS[style](event), "</event>\n"])


def lhe_source(*patterns: Path | str, events: int, **changes: Any) -> LheSource:
    """Return the block of a process ``qcd`` with the files of ``patterns``."""
    values = {
        "accept": [],
        "undecayed": False,
        "anchor": "outgoing_parton",
        "anchor_choice": "unique",
        "declared": [],
    }
    values |= {"process": "qcd", "patterns": [str(p) for p in patterns], "events": events, "ecm": ECM, **changes}
    return LheSource.model_validate(values)


def changed(particle: Particle, **values: float) -> Particle:
    """Return a particle with new values of some of its columns."""
    return particle._replace(**values)  # type: ignore[arg-type]


def before_decays(event: HardEvent) -> HardEvent:
    """Return an event of two outgoing particles before the decays of its resonances."""
    kept = [changed(p, status=1) if p.status == 2 else p for p in event.particles[:4]]
    return HardEvent(**{**vars(event), "particles": kept})


def write_lhe(
    path: Path,
    events: Sequence[HardEvent],
    style: str = "madgraph",
    edit: Callable[[str], str] = lambda text: text,
    **changes: object,
) -> Path:
    """Write a file, gzipped if its name says so; ``edit`` changes its text, ``changes`` the values of its head.

    Where the weights are in pb (strategy -4), the cross-section is their mean, if it is not given.
    """
    if abs(STYLES[style][1]) == WEIGHTS_IN_PB:
        changes.setdefault("sigma", sum(event.weight for event in events) / len(events))
    text = head(style, len(events), **changes) + "".join(event_text(style, event) for event in events)
    data = edit(text + "</LesHouchesEvents>\n").encode("latin-1")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def _line(p: Particle, decimals: int) -> str:
    integers = " ".join(f"{x:5d}" for x in p[:6])
    return f"{integers} " + " ".join(f"{x:+.{decimals}e}" for x in p[6:11]) + f" {p.lifetime:.17g} {p.spin:.4e}"


def _madgraph(event: HardEvent) -> list[str]:
    varied = [
        f"<wgt id='{name}'> {event.weight * factor:+.7e} </wgt>" for name, factor in (("1001", 1.1), ("1002", 0.9))
    ]
    return ["<mgrwt>", "<rscale>  1 0.25E+03</rscale>", "</mgrwt>", "<rwgt>", *varied, "</rwgt>"]


def _powheg(event: HardEvent) -> list[str]:
    extra = ["#rwgt  1  101  0.5  8765  0  0", "#pdf  21 1  0.1 0.2  250.0  3.1 2.2"]
    return [*extra, "<rwgt>", f"<wgt id='0'>{event.weight:+.5e}</wgt>", "</rwgt>"]


def _pythia(event: HardEvent) -> list[str]:
    weights = f"<weights> {event.weight * 1.25:.17g} {event.weight * 0.75:.17g} </weights>"
    return [weights, f'<scales muf="{event.scale}" mur="{event.scale}"/>']


_TAILS: dict[str, Callable[[HardEvent], list[str]]] = {
    "madgraph": _madgraph, "powheg": _powheg, "sherpa": lambda event: [], "pythia": _pythia,
}  # fmt: skip
