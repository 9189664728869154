"""The generated schema and key tables follow the models, and every shipped configuration is valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rs3l.config import load_campaign, parse_campaign
from rs3l.config.campaign import Campaign
from rs3l.config.docs import BEGIN, END, blocks_of, key_tables, replace_tables
from rs3l.config.evaluate import Evaluate
from rs3l.config.finetune import Finetune
from rs3l.config.pretrain import Pretrain
from rs3l.config.processes import PtHat
from rs3l.config.schema import schema_text
from rs3l.errors import DataError
from rs3l.pythia import check_settings
from support.places import SIMULATED

CONFIG = Path(__file__).resolve().parents[2] / "config"
SHIPPED = sorted(CONFIG.glob("*.yaml"))


def row(key: str, section: str) -> list[str]:
    """Return the cells of a key in the tables of a section."""
    text = key_tables().split(f"### `{section}`\n")[1].split("\n### ")[0]
    line = next(line for line in text.splitlines() if line.startswith(f"| `{key}` |"))
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def schema() -> dict[str, Any]:
    value = json.loads((CONFIG / "schema.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def test_schema_is_in_step_with_the_models() -> None:
    assert (CONFIG / "schema.json").read_text(encoding="utf-8") == schema_text(), "run `make schema`"


def test_readme_is_in_step_with_the_models() -> None:
    text = (CONFIG / "README.md").read_text(encoding="utf-8")
    assert replace_tables(text) == text, "run `make schema`"


def test_the_shipped_configurations_are_known() -> None:
    names = [
        "config.yaml",
        "paper.yaml",
        "reference.yaml",
        "reference_no_interactions.yaml",
        "rs3l_public.yaml",
        "test.yaml",
    ]
    assert [path.name for path in SHIPPED] == names


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configuration_is_valid(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), schema())
    if path.name in SIMULATED:
        check_settings(load_campaign(path))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_editors_find_the_schema(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=schema.json\n")


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [((), "proceses", {}), (("jets",), "ptmin", 300), (("jets",), "pt_min", -1), (("pretrain",), "batch", 1)],
)
def test_the_schema_refuses_what_the_models_refuse(where: tuple[str, ...], key: str, value: object) -> None:
    values = yaml.safe_load((CONFIG / "test.yaml").read_text(encoding="utf-8"))
    block = values
    for name in where:
        block = block.setdefault(name, {})
    block[key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, schema())


@pytest.mark.parametrize(
    ("encoder", "valid"),
    [
        ({"hidden": 32}, True),
        ({"kind": "edgeconv", "neighbours": 16}, True),
        ({"kind": "transformer", "pairwise": True}, True),
        ({"kind": "deepsets", "neighbours": 16}, False),
        ({"kind": "lstm"}, False),
    ],
)
def test_the_schema_knows_each_encoder(encoder: dict[str, Any], valid: bool) -> None:
    values = yaml.safe_load((CONFIG / "test.yaml").read_text(encoding="utf-8"))
    values["pretrain"]["encoder"] = encoder
    assert jsonschema.Draft202012Validator(schema()).is_valid(values) is valid


def test_every_key_of_every_block_is_in_its_table() -> None:
    sections = key_tables().split("### ")[1:]
    blocks = list(blocks_of(Campaign))
    assert len(sections) == len(blocks) > 10
    for section, (path, model) in zip(sections, blocks, strict=True):
        assert section.startswith(f"`{path}`\n" if path else "Top level\n")
        keys = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
        assert keys == list(model.model_fields)


def test_every_value_is_described() -> None:
    for path, model in blocks_of(Campaign):
        for name in model.model_fields:
            cells = row(name, path) if path else []
            assert not path or cells[-1], f"{path}.{name} has no description"


def test_cells_of_a_number() -> None:
    assert row("pt_min", "jets") == ["`pt_min`", "number, > 0", "GeV", "`300.0`", "Smallest jet pT."]
    assert row("max", "processes.<name>.pt_hat")[2:4] == ["GeV", "none"]
    assert row("min", "processes.<name>.pt_hat")[3] == "required" and PtHat.model_fields["min"].is_required()


def test_cells_of_lists_choices_and_blocks() -> None:
    assert row("labels", "finetune")[1] == "list of integer (≥ 10), not empty"
    assert row("labels", "finetune")[3] == f"`{Finetune().labels}`"
    assert row("pair", "evaluate")[1] == "2 entries: text" and Evaluate().pair == ("nominal", "seed")
    assert row("methods", "pretrain")[1] == "list of text or settings by name, not empty"
    assert "Keys: `pretrain.hand_made`." in row("hand_made", "pretrain")[-1]
    kinds = [
        f"`pretrain.encoder ({kind})`" for kind in ("deepsets", "edgeconv", "transformer", "package.module:Class")
    ]
    assert f"Keys: {', '.join(kinds)}." in row("encoder", "pretrain")[-1]
    assert row("encoder", "pretrain")[3] == "see there" and Pretrain().encoder.kind == "deepsets"
    assert row("neighbours", "pretrain.encoder (edgeconv)")[3] == "`24`"
    assert row("d0", "detector")[3] == '`{"constant": 0.02, "slope": 0.06, "eta_power": 0.0, "pt_power": 1.0}`'


def test_replacing_keeps_the_text_around_the_markers() -> None:
    text = replace_tables(f"before {BEGIN} obsolete {END} after")
    assert text.startswith(f"before {BEGIN}\n\n### Top level") and text.endswith(f"{END} after")
    assert "obsolete" not in text and replace_tables(text) == text


@pytest.mark.parametrize("text", ["no markers", BEGIN, END])
def test_missing_markers_are_an_error(text: str) -> None:
    with pytest.raises(DataError, match="markers"):
        replace_tables(text)


def examples(name: str) -> list[dict[str, Any]]:
    """Return the YAML examples in a Markdown file of the repository."""
    text = (CONFIG.parent / name).read_text(encoding="utf-8")
    return [yaml.safe_load(part.split("```")[0]) for part in text.split("```yaml\n")[1:]]


@pytest.mark.parametrize("name", ["docs/campaign.md", "config/README.md"])
def test_examples_of_variants_and_processes_work(name: str) -> None:
    found = examples(name)
    assert {"variants", "processes"} <= set().union(*found)
    for example in found:
        values = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
        for key, blocks in example.items():
            values.setdefault(key, {}).update(blocks)
        config = parse_campaign(values)
        check_settings(config)
        assert all(set(blocks) <= set(dict(getattr(config, key))) for key, blocks in example.items())
