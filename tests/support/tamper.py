"""Run the example generator on changed input, or spoil its real output: `tamper.py MODE LHE OUT SEED`."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyhepmc

GENERATOR = Path(__file__).resolve().parents[2] / "config" / "generators" / "pythia_hepmc.py"


def half(text: str) -> str:
    head, *events = text.split("<event ")
    return head + "".join("<event " + e for e in events[: len(events) // 2]) + "\n</LesHouchesEvents>\n"


def reverse(text: str) -> str:
    head, *events = text.replace("</LesHouchesEvents>", "").split("<event ")
    return head + "".join("<event " + e for e in reversed(events)) + "\n</LesHouchesEvents>\n"


def number_twice(text: str) -> str:
    return text.replace("\nE 3 ", "\nE 2 ")


def number_too_large(text: str) -> str:
    return text.replace("\nE 3 ", "\nE 99 ")


BEFORE: dict[str, Callable[[str], str]] = {"half": half, "reverse": reverse}
AFTER: dict[str, Callable[[str], str]] = {
    "twice": number_twice,
    "large": number_too_large,
    "cut": lambda text: text[: len(text) // 2],
    "damaged": lambda text: text.replace("\nP 20 ", "\nQ 20 ", 1),
    "unfinished": lambda text: text[: text.rindex("\nE ")] + "\n",
    "centimetres": lambda text: text.replace("U GEV MM", "U GEV CM"),
}


def main() -> None:
    mode, lhe, out, seed = sys.argv[1:]
    if mode in BEFORE:
        Path(lhe).write_text(BEFORE[mode](Path(lhe).read_text(encoding="utf-8")), encoding="utf-8")
    zipped = Path(out + ".gz")
    made = str(zipped) if mode == "zipped" else out
    settings = ["PartonLevel:MPI = off", "ParticleDecays:limitTau0 = on"]
    subprocess.run([sys.executable, str(GENERATOR), lhe, made, "--seed", seed, "--set", *settings], check=True)
    if mode in AFTER:
        Path(out).write_text(AFTER[mode](Path(out).read_text(encoding="utf-8")), encoding="utf-8")
    if mode == "hepmc2":
        with pyhepmc.open(out) as stream:
            events = list(stream)
        with pyhepmc.open(out, "w", format="HepMC2") as stream:
            for event in events:
                stream.write(event)
    if mode.startswith("weighted"):
        with pyhepmc.open(out) as stream:
            events = list(stream)
        with pyhepmc.open(out, "w") as stream:
            for i, event in enumerate(events):
                event.weights = [3e-5 * (1 + i % 2) if mode == "weighted" else 3e-5]
                stream.write(event)
    if mode == "zipped_without_name":
        Path(out).write_bytes(gzip.compress(Path(out).read_bytes()))
    print(f"tampered: {mode}")


if __name__ == "__main__":
    main()
