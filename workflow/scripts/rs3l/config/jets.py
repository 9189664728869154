"""The block `jets`."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    Field,
)

from rs3l.config.base import Settings


class Jets(Settings):
    """Clustering, selection and matching of the jet."""

    algorithm: Literal["antikt", "cambridge", "kt"] = Field("antikt", description="FastJet algorithm.")
    radius: float = Field(0.8, gt=0, le=2, description="Jet radius, and the largest distance to the anchor.")
    pt_min: float = Field(300.0, gt=0, description="Smallest jet pT [GeV].")
    eta_max: float = Field(2.5, gt=0, le=5, description="Largest |eta| of the jet.")
    mass_min: float = Field(10.0, ge=0, description="Smallest jet mass [GeV].")
    constituents: int = Field(100, gt=0, le=1000, description="Candidates kept, by descending pT.")
    soft_drop_zcut: float = Field(0.1, gt=0, lt=0.5, description="Soft-drop zcut (arXiv:1402.2657).")
    soft_drop_beta: float = Field(0.0, ge=0, description="Soft-drop beta.")
    substructure: bool = Field(
        True, description="Compute N2, tau21 and tau32 (about 0.15 ms per event); without, they are NaN."
    )
