"""Use a data set where it lies: links to its files, verified, and a manifest of one's own."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rs3l.config.blocks import ImportedBlock
from rs3l.dataset.card import card_text
from rs3l.dataset.checksum import JSON, sealed_json
from rs3l.dataset.manifest import Manifest, check_names, read_manifest, verified
from rs3l.dataset.schema import dataset_schema
from rs3l.errors import DataError
from rs3l.files import write_json, write_text
from rs3l.paths import EVERY_SPLIT, CampaignPaths, splits_with
from rs3l.provenance import provenance


def adopt(block: ImportedBlock, root: str, manifest: str | Path) -> dict[str, Any]:
    """Link the files of the data set of ``manifest`` into that of a campaign, and write its manifest and card.

    Every file is compared with its checksum. Raises :class:`DataError` for one that is missing or damaged, for a
    process or variant that the data set does not have, and for files of another data set that are in the way.
    """
    paths = CampaignPaths(root)
    known = read_manifest(manifest)
    check_names(manifest, "process", list(block.processes), known.processes)
    check_names(manifest, "variant", list(block.variants), known.variants)
    values = _manifest(block, manifest)
    _link(paths, known, values)
    write_text(paths.card, card_text(values))
    source = {"manifest": str(Path(manifest).resolve()), "campaign": known.campaign}
    write_json(paths.merge_provenance, sealed_json(provenance(block=block.model_dump(), source=source)))
    write_json(paths.manifest, sealed_json(values))
    logging.info("%s: links to %d files of %s", paths.manifest, len(values["files"]), manifest)
    return values


def _manifest(block: ImportedBlock, path: str | Path) -> dict[str, Any]:
    """Return the manifest with the campaign's name, processes, labels and uses."""
    values: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    values = {key: value for key, value in values.items() if key != JSON}
    files = [file for file in values["files"] if file["process"] in block.processes]
    return {
        **values,
        "campaign": block.campaign,
        "source": values.get("source", f"the data set of the campaign {values.get('campaign', '')}"),
        "variants": dict(block.variants),
        "processes": {
            name: {
                "hard_events": sum(file["events"] for file in files if file["process"] == name),
                **values["processes"][name],
                "label": info.label,
                "use": info.use,
            }
            for name, info in block.processes.items()
        },
        "files": files,
        "schema": {column.name: str(column.type) for column in dataset_schema()},
    }


def _link(paths: CampaignPaths, known: Manifest, values: Mapping[str, Any]) -> None:
    """Replace the links of the campaign's data set by those to the files of ``values``."""
    splits = splits_with({file["split"] for file in values["files"]})
    for split in EVERY_SPLIT:
        folder = Path(paths.split(split))
        if split in splits:
            folder.mkdir(parents=True, exist_ok=True)
        elif not folder.is_dir():
            continue
        for path in folder.iterdir():
            if not path.is_symlink():
                raise DataError(f"{path}: is not a link to a file of another data set; delete it and run again")
            path.unlink()
    named = {file["path"] for file in values["files"]}
    for part in known.parts:
        if part.path in named:
            target = verified(known.path(part), part.sha256).resolve()
            (Path(paths.dataset) / part.path).symlink_to(target)
