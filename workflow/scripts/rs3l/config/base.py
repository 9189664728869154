"""What all blocks of the configuration share: their names, their numbers and the refusal of unknown keys."""

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
_ONE_BAND = r"(fsr|isr):((G2GG|G2QQ|Q2QG|X2XG):)?(muRfac=|cNS=-?)\d*\.?\d+"
BAND = rf"^{_ONE_BAND}( {_ONE_BAND})*$"
FOLDER_PATH = r"^[\w./+@][\w./+@=,-]*$"
PATTERNS = {
    NAME: "a name (small letters, digits and _, 40 at most; the first is a letter)",
    PYTHIA_KEY: "a setting of Pythia (Group:name)",
    MODEL_PATH: "the path of a .safetensors file (letters, digits and . / _ + @ = , -)",
    IMPORT_PATH: "the import path of one's own (package.module:Name)",
    BAND: "variations of Pythia's shower, e.g. fsr:muRfac=0.5 isr:muRfac=0.5",
    FOLDER_PATH: "the path of a folder (letters, digits and . / _ + @ = , -)",
}
"""Each pattern of text, with its meaning in words."""
Name = Annotated[str, StringConstraints(pattern=NAME)]
Band = Annotated[str, StringConstraints(pattern=BAND)]
PythiaKey = Annotated[str, StringConstraints(pattern=PYTHIA_KEY)]
PythiaValue = bool | int | float | str
PythiaSettings = dict[PythiaKey, PythiaValue]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
SampleKind = Literal["merged", "mcatnlo", "powheg", "short"]
Verdict = Literal["stop", "warn"]
Overrides = dict[str, Any]
"""Keys of the block `pretrain` that a method or an ablation changes; :mod:`rs3l.config.methods` types them."""
ImportPath = StringConstraints(pattern=IMPORT_PATH)
"""A user's own part of the workflow is named by such an import path; it is used inside ``Annotated``."""
ModelPath = Annotated[str, StringConstraints(pattern=MODEL_PATH)]
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
NO_NUMBER = "true and false are no numbers"
_EXPONENT = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+")


def with_numbers(value: Any, annotation: Any) -> Any:
    """Return a key's value; if the key takes numbers, those that YAML 1.1 reads as text (1.2e2) are converted.

    Raises ``ValueError`` for true and false where a number is expected, because pydantic would take them for 1
    and 0.
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
    """Return a label if it is printable.

    Raises ``ValueError`` for control characters, because neither SVG nor HTML may contain them.
    """
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
    """The base of every block, which is immutable and rejects keys that it does not know."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, defer_build=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Convert numbers like 1.2e2, which YAML 1.1 reads as text, and reject true and false as numbers."""
        if not isinstance(value, str | bool | list | dict):
            return value
        return with_numbers(value, cls.model_fields[str(info.field_name)].annotation)

    def as_json(self) -> str:
        """Return the block as JSON in ASCII alone, because the command line carries ASCII in every locale."""
        return _BEYOND_ASCII.sub(lambda match: json.dumps(match.group())[1:-1], self.model_dump_json())
