"""The block `detector`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    Field,
    model_validator,
)

from rs3l.config.base import Settings


class Resolution(Settings):
    """Width of a Gaussian, constant (+) slope cosh(eta)^eta_power / pT^pt_power in quadrature."""

    constant: float = Field(ge=0, description="Constant term [mm].")
    slope: float = Field(ge=0, description="Multiple-scattering term [mm GeV^pt_power].")
    eta_power: float = Field(0.0, ge=0, le=3, description="0: the same at every eta of the track.")
    pt_power: float = Field(1.0, ge=0, le=2, description="Power of the track's pT.")


class Calorimeter(Settings):
    """What counts as a neutral candidate in a cell: energy beyond that of the tracks that end there."""

    energy_min: float = Field(ge=0, description="Smallest energy [GeV].")
    significance_min: float = Field(2.0, ge=0, description="Smallest energy in units of its resolution.")


class Detector(Settings):
    """Response to the stable particles, before jets are clustered; its numbers are in docs/resim.md."""

    response: Literal["none", "cms"] = Field(
        "none",
        description="none: particles as they are; impact parameters are smeared. cms: tracking efficiency and "
        "resolution, calorimeter cells and resolution, particle-flow candidates.",
    )
    d0: Resolution = Field(
        Resolution(constant=0.020, slope=0.060),
        description="Transverse impact parameter of tracks; constant and slope 0 switch the smearing off. With "
        "`response: cms` the default is 0.011, 0.075, eta_power 0.5, pt_power 0.75.",
    )
    dz: Resolution = Field(
        Resolution(constant=0.030, slope=0.080),
        description="Longitudinal impact parameter. With `response: cms` the default is 0.031, 0.084, "
        "eta_power 1.5, pt_power 0.6.",
    )
    tracker_radius: float = Field(
        600.0, gt=0, description="cms: the tracking efficiency falls to 0 at this radius of production [mm]."
    )
    ecal: Calorimeter = Field(Calorimeter(energy_min=0.5), description="cms: photons.")
    hcal: Calorimeter = Field(Calorimeter(energy_min=1.0), description="cms: neutral hadrons.")

    @model_validator(mode="before")
    @classmethod
    def _impact_parameters_of_cms(cls, values: Any) -> Any:
        """Give `response: cms` its own defaults, which are fits to figure 15 of arXiv:1405.6569."""
        if isinstance(values, dict) and values.get("response") == "cms":
            return {"d0": _CMS_D0, "dz": _CMS_DZ, **values}
        return values


_CMS_D0 = Resolution(constant=0.011, slope=0.075, eta_power=0.5, pt_power=0.75)
_CMS_DZ = Resolution(constant=0.031, slope=0.084, eta_power=1.5, pt_power=0.6)
