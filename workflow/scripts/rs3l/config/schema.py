"""Makes the JSON schema of the configuration, for editors."""

from __future__ import annotations

import json
from typing import Any

from rs3l.config.campaign import Campaign
from rs3l.config.methods import READY
from rs3l.config.pretrain import Pretrain
from rs3l.config.processes import Process


def schema_text() -> str:
    """Return the text of ``config/schema.json``."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Campaign.model_json_schema(),
    }
    _describe_overrides(schema)
    process = schema["$defs"][Process.__name__]
    described = {"properties": dict.fromkeys(("label", "about", "use"), True), "additionalProperties": False}
    process["anyOf"] = [
        {"required": [*process.pop("required"), "anchor"]},
        {"required": ["like", "events"]},
        {"required": ["jet_types"]},
        described,
    ]
    _need_a_source_or_a_simulation(schema)
    return json.dumps(schema, indent=2) + "\n"


def _need_a_source_or_a_simulation(schema: dict[str, Any]) -> None:
    """Say in ``schema`` that a campaign has jets from files, or all that a simulation needs."""
    simulated = ("processes", "variants")
    schema["required"] = [key for key in schema["required"] if key not in simulated]
    schema["anyOf"] = [{"required": ["source"]}, {"required": ["events_per_shard", *simulated]}]


def _describe_overrides(schema: dict[str, Any]) -> None:
    """Say in ``schema`` that methods and ablations may hold the keys of ``pretrain`` and need none of them."""
    pretrain = schema["$defs"][Pretrain.__name__]["properties"]
    keys = {
        name: {key: value for key, value in entry.items() if key != "default"}
        for name, entry in pretrain.items()
        if name != "methods"
    }
    schema["$defs"]["Overrides"] = {"type": "object", "additionalProperties": False, "properties": keys}
    reference = {"$ref": "#/$defs/Overrides"}
    ready, named = pretrain["methods"]["anyOf"]
    ready["items"] = {"enum": list(READY)}
    for mapping in (named, schema["properties"]["ablations"]):
        mapping.pop("additionalProperties", None)
        mapping["patternProperties"] = dict.fromkeys(mapping["patternProperties"], reference)
        mapping["additionalProperties"] = False
