"""What Pythia cannot take is refused by the index with file, event and reason; what it can take is accepted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rs3l.config import Campaign, blocks
from rs3l.errors import DataError
from rs3l.hard.external import make_index
from rs3l.lhe.lhe import HardEvent, Particle
from rs3l.resim.shower import Showerer
from support.lhe_writers import changed, lhe_source, write_lhe

Events = Callable[[str, int], list[HardEvent]]
Change = Callable[[HardEvent], Sequence[Particle]]
N = 6
BEAM = Particle(2212, -9, 0, 0, 0, 0, 0.0, 0.0, 6500.0, 6500.0, 0.0, 0.0, 9.0)


def where(test: Callable[[int, Particle], bool], **values: float) -> Change:
    """Change the particles that fulfil a test of their position (from 1) and themselves."""
    return lambda event: [changed(p, **values) if test(i, p) else p for i, p in enumerate(event.particles, 1)]


def with_beams(event: HardEvent) -> Sequence[Particle]:
    """Put the beams in front; mothers count them."""
    shifted = [
        changed(p, mother1=p.mother1 + 2 if p.mother1 else i, mother2=p.mother2 + 2 if p.mother2 else 0)
        for i, p in enumerate(event.particles, 1)
    ]
    return [BEAM, BEAM, *shifted]


def with_copy(status: int) -> Change:
    """Append a copy of the last particle."""
    return lambda event: [*event.particles, changed(event.particles[-1], status=status)]


def incoming_last(event: HardEvent) -> Sequence[Particle]:
    place = {0: 0, 1: 5, 2: 6, 3: 1, 4: 2, 5: 3, 6: 4}
    moved = [changed(p, mother1=place[p.mother1], mother2=place[p.mother2]) for p in event.particles]
    return [*moved[2:], *moved[:2]]


def one_daughter(mother2: int) -> Change:
    """Let the last particle decay into itself."""

    def change(event: HardEvent) -> Sequence[Particle]:
        *others, last = event.particles
        n = len(event.particles)
        copy = changed(last, mother1=n, mother2=mother2 and n)
        return [*others, changed(last, status=2), copy]

    return change


def decay(i: int, p: Particle) -> bool:
    return p.mother1 > 2


def from_collision(i: int, p: Particle) -> bool:
    return p.mothers == (1, 2)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (where(lambda i, p: p.status == 2, mother1=6, mother2=0), "particle 3 .* is its own ancestor"),
        (where(lambda i, p: i == 3, mother1=3, mother2=3), "particle 3 .* is its own ancestor"),
        (where(lambda i, p: p.status == -1, mother1=1, mother2=2), "particle 1 .* is its own ancestor"),
        (where(from_collision, mother2=0), "particle 3 .* mothers 1 and 0: write 1 and 2"),
        (where(from_collision, mother1=0, mother2=0), "particle 3 .* mothers 0 and 0: write 1 and 2"),
        (where(from_collision, mother1=2, mother2=2), "particle 3 .* mothers 2 and 2: write 1 and 2"),
        (where(decay, mother1=0, mother2=3), "particle 5 .* mothers 0 and 3: write 1 and 2"),
        (where(lambda i, p: i == 6, mother1=3, mother2=2), "particle 6 .* mothers 3 and 2: write 1 and 2"),
        (where(decay, mother1=4, mother2=0), "has the status 2, of one that decays, and nothing comes from it"),
        (where(lambda i, p: i == 6, mother1=4, mother2=0), "particle 4 .* has the status 1, of a final one"),
        (where(lambda i, p: i == 6, mother1=1, mother2=2), "has not the momentum of what it decays into"),
        (with_beams, "particle 1 .2212. has the status -9: a beam"),
        (with_copy(3), "particle 7 .* has the status 3, of one that decays, and nothing comes from it"),
        (with_copy(2), "particle 7 .* has the status 2, of one that decays, and nothing comes from it"),
        (with_copy(0), "particle 7 .* has the status 0: which means nothing here"),
        (with_copy(-2), "particle 7 .* has the status -2: a space-like"),
        (where(lambda i, p: p.status == 2, status=-2), "particle 3 .23. has the status -2: a space-like"),
        (incoming_last, "the two incoming particles are not the first two"),
        (one_daughter(1), "is all that particle 6 decays into, and names it twice: write the mothers 6 and 0"),
        (where(lambda i, p: i == 6, pdg_id=9999999), "Pythia knows no particle 9999999; declare it in generator.pythia"),
        (where(lambda i, p: i == 6, pdg_id=0), "Pythia knows no particle 0"),
        (where(lambda i, p: p.pdg_id == 23, pdg_id=-23), "Pythia knows no particle -23"),
        (where(lambda i, p: i == 6, pdg_id=2**40), f"Pythia knows no particle {2**40}"),
        (where(lambda i, p: p.colour > 0, colour=2**31), f"has the colours {2**31} and"),
        (where(lambda i, p: i == 4, mass=50.0), r"particle 4 .* a mass of 50 GeV: they do not agree"),
        (where(lambda i, p: p.status == 2, mass=150.0), r"particle 3 .* a mass of 150 GeV: they do not agree"),
        (lambda event: [p for p in event.particles for _ in range(1 + 600 * (p.mother1 > 2))], "particles; the Les Houches accord allows 500"),
    ],
)  # fmt: skip
def test_events_that_pythia_cannot_take_are_named(
    hard_events: Events, tmp_path: Path, change: Change, expected: str
) -> None:
    """A Z boson (3) that decays into neutrinos (5, 6), and a parton (4)."""
    events = hard_events("qcd", N)
    events[4] = replace(events[4], particles=change(events[4]))
    path = write_lhe(tmp_path / "a.lhe", events)
    with pytest.raises(DataError, match=rf"a.lhe: event 4: .*{expected}"):
        make_index(lhe_source(path, events=N))


def negative_colours(p: Particle) -> Particle:
    return changed(p, colour=-p.colour, anticolour=-p.anticolour)


def one_line(p: Particle) -> Particle:
    """Give all colour lines one number."""
    return changed(p, colour=501 if p.colour else 0, anticolour=501 if p.anticolour else 0)


def no_colour_of_tops(p: Particle) -> Particle:
    return changed(p, colour=0, anticolour=0) if abs(p.pdg_id) == 6 else p


def other_colour_of_tops(p: Particle) -> Particle:
    return changed(p, colour=p.colour and 777, anticolour=p.anticolour and 778) if abs(p.pdg_id) == 6 else p


@pytest.mark.parametrize(
    ("process", "change", "expected"),
    [
        ("qcd", negative_colours, "has the colours .*write numbers from 501 on"),
        ("qcd", one_line, "the colour flow is broken"),
        ("top", no_colour_of_tops, "particle 3 .6. has not the colours of what it decays into"),
        ("top", other_colour_of_tops, "particle 3 .6. has not the colours of what it decays into"),
    ],
)
def test_broken_colours_are_named(
    hard_events: Events, tmp_path: Path, process: str, change: Callable[[Particle], Particle], expected: str
) -> None:
    event = top_pair() if process == "top" else hard_events("qcd", 1)[0]
    path = write_lhe(tmp_path / "a.lhe", [event])
    of = lhe_source(path, events=1, anchor=[6, 23], anchor_choice="alternate", undecayed=True)
    make_index(of)
    write_lhe(path, [replace(event, particles=[change(p) for p in event.particles])])
    with pytest.raises(DataError, match=rf"a.lhe: event 0: .*{expected}"):
        make_index(of)


def top_pair() -> HardEvent:
    """Return g g -> t tbar at 90 degrees, each top decayed into a massless b and a W of 80 GeV."""
    energy, top, w = 300.0, 173.0, 80.0
    momentum = (energy**2 - top**2) ** 0.5
    particles: list[Particle] = [
        Particle(21, -1, 0, 0, 501, 502, 0.0, 0.0, energy, energy, 0.0, 0.0, 9.0),
        Particle(21, -1, 0, 0, 502, 503, 0.0, 0.0, -energy, energy, 0.0, 0.0, 9.0),
    ]
    for sign in (1, -1):
        colours = (501, 0) if sign > 0 else (0, 503)
        x, b = sign * momentum, (top**2 - w**2) / (2 * top)
        gamma, beta = energy / top, x / energy
        b_energy, w_energy = gamma * b, gamma * (top - b)  # decay across the direction of flight
        particles += [
            Particle(6 * sign, 2, 1, 2, *colours, x, 0.0, 0.0, energy, top, 0.0, 9.0),
            Particle(
                5 * sign, 1, 3 * (sign > 0) or 6, 0, *colours, beta * b_energy, b, 0.0, b_energy, 0.0, 0.0, 9.0
            ),
            Particle(24 * sign, 1, 3 * (sign > 0) or 6, 0, 0, 0, beta * w_energy, -b, 0.0, w_energy, w, 0.0, 9.0),
        ]
    return HardEvent(0, 1.0, 173.0, 0.0078, 0.118, particles)


@pytest.mark.parametrize(
    "change",
    [
        where(from_collision, mother1=2, mother2=1),
        where(decay, mother2=3),
        where(lambda i, p: p.status == 2, status=3),
        one_daughter(0),
        where(lambda i, p: p.pdg_id in (12, 14, 16), colour=601),
        where(lambda i, p: p.status == 1 and p.mother1 > 2, lifetime=-1.0, spin=99.0),
    ],
)
def test_what_pythia_takes_is_accepted(
    hard_events: Events, campaign: Campaign, tmp_path: Path, change: Change
) -> None:
    """Other orders of mothers, decays of status 3, a copy in a decay, colours of leptons."""
    events = [replace(event, particles=change(event)) for event in hard_events("qcd", N)]
    assert all(a.particles != b.particles for a, b in zip(events, hard_events("qcd", N), strict=True))
    make_index(lhe_source(write_lhe(tmp_path / "a.lhe", events), events=N))
    assert len(Showerer(blocks.resim(campaign, "qcd", "nominal")).shower(events).position) == N


def test_particles_that_the_settings_declare_are_known(hard_events: Events, tmp_path: Path) -> None:
    events = [
        replace(event, particles=where(lambda i, p: p.pdg_id == 23, pdg_id=5000001)(event))
        for event in hard_events("qcd", N)
    ]
    path = write_lhe(tmp_path / "a.lhe", events)
    with pytest.raises(DataError, match=r"declare it in generator.pythia \(`5000001:new`\)"):
        make_index(lhe_source(path, events=N))
    make_index(lhe_source(path, events=N, declared=[5000001]))


def test_the_settings_that_declare_a_particle(test_values: dict[str, object], campaign: Campaign) -> None:
    block = campaign.processes["qcd"].model_copy(update={"lhe": "a.lhe", "pt_hat": None, "pythia": {}})
    generator = campaign.generator.model_copy(
        update={"pythia": {"5000001:new": "zp void 3 0 0", "5000001:m0": 900.0, "25:onMode": False, "Tune:pp": 14}}
    )
    processes = {**campaign.processes, "qcd": block}
    config = campaign.model_copy(update={"generator": generator, "processes": processes})
    assert blocks.lhe_source(config, "qcd").declared == [25, 5000001]


@pytest.mark.parametrize(("digits", "accepted"), [(3, True), (9, False)])
def test_masses_are_compared_to_the_digits_that_are_written(
    hard_events: Events, tmp_path: Path, digits: int, accepted: bool
) -> None:
    """A neutrino with E^2 - p^2 - m^2 = 3e-4 E^2: three decimals leave that open, nine do not."""
    event = hard_events("qcd", 1)[0]

    def edit(text: str) -> str:
        lines = text.splitlines(keepends=True)
        at = next(i for i, line in enumerate(lines) if line.startswith("<event>")) + 6
        words = lines[at].split()
        words[10] = f"{(3e-4 * float(words[9]) ** 2) ** 0.5:.12e}"
        words[6:10] = [f"{float(word):.{digits}e}" for word in words[6:10]]
        lines[at] = " ".join(words) + "\n"
        return "".join(lines)

    path = write_lhe(tmp_path / "a.lhe", [event], edit=edit)
    if accepted:
        assert make_index(lhe_source(path, events=1)).files[0].used == 1
    else:
        with pytest.raises(DataError, match=r"a.lhe: event 0: particle 5 .*they do not agree"):
            make_index(lhe_source(path, events=1))


def test_a_soft_particle_of_negative_energy_is_rounding_and_a_hard_one_is_not(
    hard_events: Events, tmp_path: Path
) -> None:
    """MadGraph 2.2 has written gluons of -0.3 GeV in events of 2 TeV."""
    event = hard_events("qcd", 1)[0]
    *others, last = event.particles
    for energy, accepted in ((0.001, True), (50.0, False)):
        soft = Particle(22, 1, 1, 2, 0, 0, energy, 0.0, 0.0, -energy, 0.0, 0.0, 9.0)
        parton = event.particles[3]
        size = ((parton.px - energy) ** 2 + parton.py**2 + parton.pz**2 + parton.mass**2) ** 0.5
        recoil = changed(parton, px=parton.px - energy, energy=size)
        gain = (soft.energy + recoil.energy - parton.energy) / 2
        incoming = [changed(p, pz=p.pz * (1 + gain / p.energy), energy=p.energy + gain) for p in others[:2]]
        particles = [*incoming, others[2], recoil, *others[4:], last, soft]
        path = write_lhe(tmp_path / "a.lhe", [replace(event, particles=particles)])
        if accepted:
            make_index(lhe_source(path, events=1))
        else:
            with pytest.raises(DataError, match=r"a particle \(22\) has an energy of -50 GeV"):
                make_index(lhe_source(path, events=1))
