"""The measured costs of all stages, and the size of a network relative to the one that they were measured with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import Field, ValidationError

from rs3l.config.base import Settings
from rs3l.config.encoders import DeepSets, Encoder, Transformer
from rs3l.config.pretrain import Pretrain
from rs3l.errors import ConfigError


class Cost(Settings):
    """Measured cost of one stage on one core, where rows are jets, or hard events without one."""

    unit: str = Field(description="Unit of work.")
    start_s: float = Field(ge=0, description="CPU seconds of a job before its first unit.")
    unit_s: float = Field(ge=0, description="CPU seconds per unit.")
    unit_s_range: tuple[float, float] = Field(description="Smallest and largest of the measured jobs.")
    memory_mb: float = Field(ge=0, description="Memory of a job that holds nothing.")
    held_kb: float = Field(ge=0, description="Memory per row that a job holds.")
    written_bytes: float = Field(ge=0, description="Disk per row written.")
    threads: int = Field(1, ge=1, description="Cores of a job.")
    jobs: int = Field(ge=0, description="Jobs that were measured; 0: none yet, the numbers are estimates.")


class EncoderCost(Settings):
    """Time per multiplication of a network, relative to the default DeepSets, and memory of a step."""

    training: float = Field(gt=0, description="Forward and backward.")
    inference: float = Field(gt=0, description="Forward alone.")
    step_kb: float = Field(0.0, ge=0, description="Memory per jet of a training step, with the default sizes.")


Encoders = Mapping[str, EncoderCost]
"""Costs by encoder, as :func:`encoder_name` names it; an encoder that is missing is taken for a DeepSets."""

NO_ENCODERS: Encoders = MappingProxyType({})
"""No costs: all networks take the same time per multiplication."""


class CostTable(Settings):
    """Measured costs of all stages."""

    machine: str
    date: str
    how: str
    jets_per_shower: float = Field(gt=0, le=1, description="Showers that give a jet.")
    stages: dict[str, Cost]
    encoders: dict[str, EncoderCost] = Field({}, description="Of the kinds of networks.")
    encoders_how: str = ""

    def of(self, stage: str) -> Cost:
        """Return the cost of a stage; raises :class:`ConfigError` if the table does not have it."""
        if stage not in self.stages:
            raise ConfigError(f"the table of costs has no stage {stage!r}; it has {', '.join(self.stages)}")
        return self.stages[stage]


def load_costs(path: str | Path) -> CostTable:
    """Return the table in ``path``; raises :class:`ConfigError` if it is not a table of costs."""
    try:
        return CostTable.model_validate_json(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise ConfigError(f"{path}: no table of costs: {error}") from None


def network_work(encoder: Encoder, constituents: int) -> float:
    """Return the multiplications for one jet, by weights and by pairs of candidates in distances or attention."""
    return encoder.multiplications(constituents)


def encoder_name(encoder: Encoder) -> str:
    """Return the name of an encoder in the table of costs."""
    return "transformer, pairwise" if isinstance(encoder, Transformer) and encoder.pairwise else encoder.kind


def step_mb(settings: Pretrain, jets: int, encoders: Encoders) -> float:
    """Return the memory [MB] of a training step on ``jets`` jets, which grows as width times candidates."""
    encoder, usual = settings.encoder, Pretrain()
    cost = encoders.get(encoder_name(encoder), encoders.get(encoder_name(DeepSets())))
    field = type(encoder).model_fields.get("hidden")
    width = getattr(encoder, "hidden", 1) / field.default if field else 1.0
    return jets * (cost.step_kb if cost else 0.0) / 1000 * width * settings.constituents / usual.constituents


def network_time(settings: Pretrain, encoders: Encoders, use: Literal["training", "inference"]) -> float:
    """Return the time for a jet relative to the default network, where a finished model counts as the base's."""
    usual = network_work(DeepSets(), Pretrain().constituents)
    cost = encoders.get(encoder_name(settings.encoder))
    relative = network_work(settings.encoder, settings.constituents) / usual
    return relative * (1.0 if cost is None else float(getattr(cost, use)))
