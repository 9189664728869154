"""JSON schema of the configuration, for editors."""

from __future__ import annotations

import json

from rs3l.config.models import Campaign, Process


def schema_text() -> str:
    """Return the text of ``config/schema.json``."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Campaign.model_json_schema(),
    }
    process = schema["$defs"][Process.__name__]
    process["anyOf"] = [{"required": process.pop("required")}, {"required": ["like", "events"]}]
    return json.dumps(schema, indent=2) + "\n"
