"""Import Pythia 8, and apply and check its settings."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from rs3l.config.base import PythiaValue
from rs3l.config.campaign import Campaign
from rs3l.errors import ConfigError, GeneratorError
from rs3l.pythia_reason import reason, speaks

_VARIATIONS = (
    "gives each event further weights, which are not kept; make a variant of each variation (docs/variants.md), "
    "which also has the full statistics"
)
_REFUSED = {
    "powheg:": "has no effect: Pythia's PowhegHooks are not in its Python package; docs/hard.md says how POWHEG "
    "events are showered",
    "jetmatching:merge": "has no effect: Pythia's JetMatching is not in its Python package; docs/hard.md says "
    "what becomes of merged samples",
    "merging:do": "merging vetoes and weighs events of several multiplicities, which is not part of the "
    "re-simulation; docs/hard.md says what becomes of merged samples",
    "uncertaintybands:dovariations": f"{_VARIATIONS}. Or name them in `bands` of the variant (docs/weights.md)",
    "uncertaintybands:list": "has no effect: name the variations in `bands` of the variant (docs/weights.md)",
    "variationfrag:": _VARIATIONS,
    "vincia:enhancefac": "the weights that Pythia 8.317 gives for VINCIA's enhanced branchings are wrong (their "
    "mean is 1.22 for a factor of 1.2, not 1); leave it out, or use Enhancements:doEnhance and the default shower",
}
"""Settings that Pythia takes but that would give wrong results, by the beginning of their key in lower case."""

_USUAL_CODES = 2**16
"""PDG codes from here on, which are those of excited hadrons and nuclei, are looked up each time."""


def _is_off(value: PythiaValue) -> bool:
    return value is False or str(value).lower() in ("off", "no", "false", "0")


def pythia_module() -> ModuleType:
    """Return the module of Pythia 8, which is ``pythia8`` (conda-forge) or ``pythia8mc`` (PyPI)."""
    for name in ("pythia8", "pythia8mc"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise GeneratorError(
        "Pythia 8 cannot be imported: install pythia8mc (pip) or pythia8 (conda-forge), or deploy the "
        "rule's env with --sdm conda"
    )


def new_pythia() -> Any:
    """Return an instance of Pythia with default settings that prints nothing, or its messages (``reason``)."""
    pythia = pythia_module().Pythia("", False)
    apply_settings(pythia, {"Print:init": False, "Print:next": False} if speaks() else {"Print:quiet": True})
    return pythia


def pythia_version(pythia: Any) -> str:
    """Return the version of Pythia, e.g. ``8.317``."""
    return f"{pythia.settings.parm('Pythia:versionNumber'):.3f}"


@cache
def installed_version() -> str:
    """Return the version of the Pythia that is installed."""
    return pythia_version(new_pythia())


def setting_line(key: str, value: PythiaValue) -> str:
    """Return the line that Pythia reads for one setting, with booleans as on and off."""
    if isinstance(value, bool):
        return f"{key} = {'on' if value else 'off'}"
    return f"{key} = {value}"


def apply_settings(pythia: Any, settings: Mapping[str, PythiaValue]) -> None:
    """Apply ``settings`` in order; raises :class:`GeneratorError` for one that Pythia does not know."""
    for key, value in settings.items():
        if not pythia.readString(setting_line(key, value), False):
            raise GeneratorError(
                f"Pythia {pythia_version(pythia)} does not accept `{key}: {value}`: {_why(key, value)}"
            )


def _why(key: str, value: PythiaValue) -> str:
    """Return what Pythia says of a setting that it does not accept."""
    return reason(lambda: new_pythia().readString(setting_line(key, value), True))


class Charges:
    """Electric charges from Pythia's particle data, which include the hadrons of other generators."""

    def __init__(self, pythia: Any = None) -> None:
        """Use the data of ``pythia``, or those of a new one."""
        self._data = (pythia or new_pythia()).particleData
        self._table = np.full(2 * _USUAL_CODES, np.nan)  # by PDG code, where negative ones count from the end

    def __call__(self, pdg_id: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the charge of each particle, in units of the positron's."""
        usual = np.abs(pdg_id) < _USUAL_CODES
        result = np.where(usual, self._table[np.where(usual, pdg_id, 0)], np.nan)
        for code in np.unique(pdg_id[np.isnan(result)]).tolist():
            charge = self._data.charge(code)
            result[pdg_id == code] = charge
            if abs(code) < _USUAL_CODES:
                self._table[code] = charge
        return result


def check_settings(config: Campaign) -> None:
    """Check every Pythia setting of the configuration before any event is simulated.

    Raises :class:`ConfigError` that lists the keys' paths. This takes about 0.1 s, because no process is
    initialised.
    """
    pythia = new_pythia()
    blocks = {
        "generator": config.generator.pythia,
        **{f"processes.{name}": process.pythia for name, process in config.processes.items()},
        **{f"variants.{name}": variant.pythia for name, variant in config.variants.items()},
    }
    problems = [
        f"{path}.pythia.{key}: Pythia {pythia_version(pythia)} does not accept `{setting_line(key, value)}`; "
        f"{_why(key, value)}; see the Pythia manual for the key's name and type"
        for path, settings in blocks.items()
        for key, value in settings.items()
        if not pythia.readString(setting_line(key, value), False)
    ]
    problems += [
        f"{path}.pythia.{key}: {why}"
        for path, settings in blocks.items()
        for key, value in settings.items()
        for begin, why in _REFUSED.items()
        if key.lower().startswith(begin) and not _is_off(value)
    ]
    if problems:
        raise ConfigError("the configuration is not valid:\n  " + "\n  ".join(problems))
