"""The block `evaluate`."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    Field,
)

from rs3l.config.base import Name, Settings


class Evaluate(Settings):
    """Metrics on the test split."""

    variants: list[Name] = Field(
        ["nominal"], min_length=1,
        description="Variants whose test jets are scored for AUC and rejection. Those that share the "
        "nominal physics (seed, rehadron) add statistics; errors are bootstrapped over hard events.",
    )  # fmt: skip
    pair: tuple[Name, Name] | None = Field(
        ("nominal", "seed"),
        description="The two showers of the paired score correlation; null: none, for jets with one view.",
    )
    efficiencies: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.3, 0.5, 0.7], min_length=1, description="Signal efficiencies of the background rejection."
    )
    change_efficiencies: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.5, 0.6, 0.7, 0.8, 0.9],
        min_length=1,
        description="Signal efficiencies at which the false-positive rate is compared between variants.",
    )
    bootstrap: int = Field(200, ge=2, description="Bootstrap replicas over hard events.")
    quality_events: int = Field(
        20_000, ge=100,
        description="Hard events of the test split, and of the validation split, that the quality of latents is "
        "measured on, at most.",
    )  # fmt: skip
