"""JSON schema of the configuration, for editors."""

from __future__ import annotations

import json

from rs3l.config.models import Campaign


def schema_text() -> str:
    """Return the text of ``config/schema.json``."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Campaign.model_json_schema(),
    }
    return json.dumps(schema, indent=2) + "\n"
