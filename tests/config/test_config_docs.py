"""The generated schema and key tables follow the models; shipped configurations and examples are valid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from snakemake.utils import update_config

from rs3l.config import load_campaign, parse_campaign
from rs3l.config.campaign import Campaign
from rs3l.config.docs import blocks_of
from rs3l.config.evaluate import Evaluate
from rs3l.config.finetune import Finetune
from rs3l.config.pages import TOP, anchor, places_of, sections, with_tables
from rs3l.config.pretrain import Pretrain
from rs3l.config.processes import PtHat
from rs3l.config.schema import schema_text
from rs3l.config.yaml_file import read_mapping
from rs3l.errors import DataError
from rs3l.modes import MODES
from rs3l.pythia import check_settings
from support.documents import DOCUMENTS
from support.documents import name as name_of
from support.places import SIMULATED
from support.public_files import public_file

CONFIG = Path(__file__).resolve().parents[2] / "config"
SHIPPED = sorted(CONFIG.glob("*.yaml"))
PAGES = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted((CONFIG.parent / "docs" / "config").glob("*.md"))
}
APART = ("docs/hard.md", "docs/resim.md", "docs/own_jets.md")
"""The first two are read in tests/resim with the files that they name; the last needs a data set."""
EXAMPLES = [
    name_of(path)
    for path in DOCUMENTS
    if "```yaml" in path.read_text(encoding="utf-8") and name_of(path) not in APART
]
OF_PROFILES = {"default-resources", "set-resources"}
OF_PYTHIA = {"generator", "processes", "variants", "pileup"}


def section_on_its_page(name: str) -> str:
    """Return heading and table of a section as its page has them."""
    text = PAGES[places_of(PAGES)[name]].split(f"<!-- keys: {name} -->\n")[1]
    return text.split("<!-- /keys -->")[0]


def rows(section: str) -> list[dict[str, str]]:
    """Return the rows of a section's table, by the names of its columns."""
    lines = [line for line in section_on_its_page(section).splitlines() if line.startswith("|")]
    header, _, *others = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines)
    return [dict(zip(header, cells, strict=True)) for cells in others]


def row(key: str, section: str) -> dict[str, str]:
    """Return the cells of a key."""
    return next(cells for cells in rows(section) if cells["key"] == f"`{key}`")


def schema() -> dict[str, Any]:
    value = json.loads((CONFIG / "schema.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def test_schema_is_in_step_with_the_models() -> None:
    assert (CONFIG / "schema.json").read_text(encoding="utf-8") == schema_text(), "run `make schema`"


def test_pages_are_in_step_with_the_models() -> None:
    new = with_tables(PAGES)
    assert [name for name, text in PAGES.items() if new[name] != text] == [], "run `make schema`"


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


def test_every_key_of_every_block_is_in_one_table() -> None:
    own = {path: list(model.model_fields) for path, model in blocks_of(Campaign) if path}
    own |= {name: list(keys) for name, keys in TOP.items()}
    assert {name: [cells["key"].strip("`") for cells in rows(name)] for name in sections()} == own
    assert len(own) > 10


def test_every_key_of_a_campaign_is_in_one_table() -> None:
    """It is at the top level, or has a section of its own that the first page names."""
    table = PAGES["index.md"].split("<!-- blocks -->")[1].split("<!-- /blocks -->")[0]
    named = re.findall(r"^\| \[`(\w+)", table, re.MULTILINE)
    assert sorted([*named, *TOP["top level"]]) == sorted(Campaign.model_fields)


def test_every_key_can_be_looked_up() -> None:
    table = PAGES["index.md"].split("<!-- where -->")[1].split("<!-- /where -->")[0]
    lines = table.strip().splitlines()[2:]
    assert [re.findall(r"`(\w+)`", line.split(" | ")[1]) for line in lines] == [
        list(section.fields) for section in sections().values()
    ]


def test_every_value_is_described() -> None:
    for name in sections():
        assert [cells["key"] for cells in rows(name) if not cells["effect"].strip()] == [], name


def test_cells_of_a_number() -> None:
    cells = {"key": "`pt_min`", "type": "number, > 0", "unit": "GeV", "default": "`300.0`"}
    assert row("pt_min", "jets") == {**cells, "effect": "Smallest jet pT."}
    maximum, minimum = row("max", "processes.<name>.pt_hat"), row("min", "processes.<name>.pt_hat")
    assert (maximum["unit"], maximum["default"]) == ("GeV", "none")
    assert minimum["default"] == "required" and PtHat.model_fields["min"].is_required()


def test_a_table_without_units_has_no_such_column() -> None:
    assert "unit" not in row("labels", "finetune") and "unit" in row("radius", "jets")


def test_cells_of_lists_choices_and_blocks() -> None:
    assert row("labels", "finetune")["type"] == "list of integer (≥ 10), not empty"
    assert row("labels", "finetune")["default"] == f"`{Finetune().labels}`"
    assert row("pair", "evaluate")["type"] == "2 entries: text" and Evaluate().pair == ("nominal", "seed")
    assert row("methods", "pretrain")["type"] == "list of text or settings by name, not empty"
    assert row("use", "processes.<name>")["type"] == "`pretrain` or `downstream`"
    assert "Keys: [`pretrain.hand_made`](losses.md#pretrainhand_made)." in row("hand_made", "pretrain")["effect"]
    for kind in ("deepsets", "edgeconv", "transformer", "package.module:Class"):
        assert f"[`pretrain.encoder ({kind})`](encoders.md#" in row("encoder", "pretrain")["effect"]
    assert row("encoder", "pretrain")["default"] == "see there" and Pretrain().encoder.kind == "deepsets"
    assert row("neighbours", "pretrain.encoder (edgeconv)")["default"] == "`24`"
    assert row("d0", "detector")["default"] == (
        '`{"constant": 0.02, "slope": 0.06, "eta_power": 0.0, "pt_power": 1.0}`'
    )


def test_a_type_of_many_names_counts_them_and_the_effect_has_them() -> None:
    cells = row("modes", "finetune")
    assert cells["type"] == f"list of name (one of {len(MODES)}), not empty"
    assert set(MODES) <= set(re.findall(r"\w+", cells["effect"]))


def test_links_lead_to_sections_and_pages() -> None:
    """Anchors are those that GitHub gives the headings."""
    headings = {
        page: {anchor(line.lstrip("# ").rstrip()) for line in text.splitlines() if line.startswith("#")}
        for page, text in PAGES.items()
    }
    for page, text in PAGES.items():
        links = re.findall(r"\]\(([\w.]*)#([^)]+)\)", text)
        assert [link for link in links if link[1] not in headings[link[0] or page]] == [], page
    assert anchor("`variants.<name>.pileup`") == "variantsnamepileup"
    assert anchor("`pretrain.encoder (deepsets)`") == "pretrainencoder-deepsets"
    assert "[docs/hdf5.md](../hdf5.md)" in row("hdf5", "source")["effect"]


def test_new_tables_keep_the_text_around_the_markers() -> None:
    pages = {
        **PAGES,
        "jets.md": re.sub(
            r"## `jets`.*?<!-- /keys -->", "obsolete <!-- /keys -->", PAGES["jets.md"], flags=re.DOTALL
        ),
    }
    assert "obsolete" in pages["jets.md"] and with_tables(pages) == PAGES


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("<!-- keys: jets -->", "", "jets: give it a place"),
        ("<!-- keys: jets -->", "<!-- keys: jest -->", "jets.md: no section is called jest"),
        ("<!-- keys: jets -->", "<!-- keys: dataset -->", "dataset: its marker is there 2 times"),
        ("With this page", "<!-- where -->", "jets.md: <!-- where --> has no partner"),
    ],
)
def test_wrong_markers_are_an_error(old: str, new: str, problem: str) -> None:
    with pytest.raises(DataError, match=re.escape(problem)):
        with_tables({**PAGES, "jets.md": PAGES["jets.md"].replace(old, new)})


def campaign_of(example: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what Snakemake makes of an example, which is a campaign, or goes on top of config/config.yaml.

    Jets from files are those of a small file in ``folder``.
    """
    if "source" in example:
        public_file(folder / "rs3l_0.h5", 20)
        return {**example, "source": {**example["source"], "hdf5": f"{folder}/rs3l_*.h5"}}
    values: dict[str, Any] = {}
    if "processes" not in example or "campaign" not in example:
        values = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
    update_config(values, example)
    return values


def examples(document: str) -> list[str]:
    """Return the YAML examples in a Markdown file of the repository."""
    text = (CONFIG.parent / document).read_text(encoding="utf-8")
    return [part.split("```")[0] for part in text.split("```yaml\n")[1:]]


@pytest.mark.parametrize("document", EXAMPLES)
def test_examples_are_valid(document: str, tmp_path: Path) -> None:
    """All but those of profiles."""
    for text in examples(document):
        (tmp_path / "example.yaml").write_text(text, encoding="utf-8")
        example = read_mapping(tmp_path / "example.yaml")
        if set(example) & OF_PROFILES:
            continue
        config = parse_campaign(campaign_of(example, tmp_path))
        assert set(example) <= set(Campaign.model_fields)
        if set(example) & OF_PYTHIA:
            check_settings(config)


def test_the_example_with_a_data_set_fits_the_schema() -> None:
    (example,) = (yaml.safe_load(text) for text in examples("docs/own_jets.md"))
    assert example["source"].keys() == {"parquet"}
    jsonschema.validate(example, schema())


def test_every_page_of_the_configuration_has_an_example() -> None:
    assert [name for name in PAGES if len(examples(f"docs/config/{name}")) != 1] == []
