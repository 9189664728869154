"""What all blocks of the configuration share: names, numbers, and that unknown keys are refused."""

from __future__ import annotations

import json
import re
import types
import typing
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

NAME = r"^[a-z][a-z0-9_]{0,39}$"
PYTHIA_KEY = r"^[A-Za-z0-9]+:[A-Za-z0-9:()\-+]+$"
MODEL_PATH = r"^[\w./+@][\w./+@=,-]*\.safetensors$"
IMPORT_PATH = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
FOLDER_PATH = r"^[\w./+@][\w./+@=,-]*$"
PATTERNS = {
    NAME: "a name (small letters, digits and _, 40 at most; the first is a letter)",
    PYTHIA_KEY: "a setting of Pythia (Group:name)",
    MODEL_PATH: "the path of a .safetensors file (letters, digits and . / _ + @ = , -)",
    IMPORT_PATH: "the import path of one's own (package.module:Name)",
    FOLDER_PATH: "the path of a folder (letters, digits and . / _ + @ = , -)",
}
"""What each pattern of text means, in words."""
Name = Annotated[str, StringConstraints(pattern=NAME)]
PythiaKey = Annotated[str, StringConstraints(pattern=PYTHIA_KEY)]
PythiaValue = bool | int | float | str
PythiaSettings = dict[PythiaKey, PythiaValue]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
SampleKind = Literal["merged", "mcatnlo", "powheg", "short"]
Verdict = Literal["stop", "warn"]
Overrides = dict[str, Any]
"""Keys of the block `pretrain` that a method or an ablation changes; typed by :mod:`rs3l.config.methods`."""
ImportPath = StringConstraints(pattern=IMPORT_PATH)
"""What one's own part of the workflow is named by; in ``Annotated``."""
ModelPath = Annotated[str, StringConstraints(pattern=MODEL_PATH)]
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
NO_NUMBER = "true and false are no numbers"
_EXPONENT = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+")


def with_numbers(value: Any, annotation: Any) -> Any:
    """Return a key's value with the numbers that are text in YAML 1.1 (1.2e2), if the key takes numbers.

    Raises ``ValueError`` for true and false where a number is expected; it would take them for 1 and 0.
    """
    kinds = _kinds(annotation)
    if isinstance(value, list):
        inner = [get_args(kind)[0] for kind in kinds if get_origin(kind) is list]
        return [with_numbers(entry, inner[0]) for entry in value] if inner else value
    if isinstance(value, dict) and PythiaSettings in kinds:
        return {k: float(v) if isinstance(v, str) and _EXPONENT.fullmatch(v) else v for k, v in value.items()}
    numeric = bool({int, float} & set(kinds)) and str not in kinds
    if numeric and isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)
    if numeric and isinstance(value, bool) and bool not in kinds:
        raise ValueError(NO_NUMBER)
    return value


def printable(text: str) -> str:
    """Return a label; raises ``ValueError`` for control characters, which no SVG and no HTML may have."""
    if _CONTROL.search(text):
        raise ValueError("a label has no control characters")
    return text


@cache
def _kinds(annotation: Any) -> tuple[Any, ...]:
    """Return the alternatives of a type, without their constraints."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (types.UnionType, typing.Union):
        return tuple(inner for kind in get_args(annotation) for inner in _kinds(kind))
    return (annotation,)


class Settings(BaseModel):
    """Base of every block: immutable, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Take 1.2e2 for a number, which YAML 1.1 takes for text, and true for none."""
        if not isinstance(value, str | bool | list | dict):
            return value
        return with_numbers(value, cls.model_fields[str(info.field_name)].annotation)

    def as_json(self) -> str:
        """Return the block as JSON in ASCII alone, which the command line of any locale carries."""
        return _BEYOND_ASCII.sub(lambda match: json.dumps(match.group())[1:-1], self.model_dump_json())
