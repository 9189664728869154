"""A hard event that a process has twice is refused, whatever its key, weight, shard, file and split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs3l import seeds
from rs3l.config import Campaign, blocks
from rs3l.dataset.jets_file import JetsFile
from rs3l.errors import DataError
from rs3l.hard.external import make_index
from rs3l.lhe.lhe import HardEvent, fingerprint, read_shard
from rs3l.merge.merge import merge
from rs3l.merge.shards import check_no_event_twice, read_header
from rs3l.paths import CampaignPaths, shard_name
from rs3l.repeated import first_repeated
from rs3l.resim.resim import _metadata, resimulate
from support.lhe_writers import before_decays, lhe_source, write_lhe

Shard = Callable[[str, int, int], Path]
Events = Callable[[str, int], list[HardEvent]]


def write_jets(campaign: Campaign, paths: CampaignPaths, process: str, shards: Sequence[Path]) -> list[Any]:
    """Write jets of shards of hard events, all of them rows without a jet; return their headers."""
    headers = []
    for number, hard in enumerate(shards):
        info, events = read_shard(hard)
        block = blocks.resim(campaign, process, "nominal")
        out = Path(paths.jets(process, "nominal", shard_name(number)))
        out.parent.mkdir(parents=True, exist_ok=True)
        with JetsFile(out) as file:
            file.write(no_jets(block, events))
            file.finish(_metadata(block, info, None))
        headers.append(read_header(str(out)))
    return headers


def no_jets(block: blocks.ResimBlock, events: list[HardEvent]) -> pa.Table:
    """Return the rows of events of which none is simulated."""
    none = blocks.Chosen(splits=blocks.Splits(train=1.0, val=0.0, test=0.0), only=["test"])
    return resimulate(block.model_copy(update={"chosen": none}), events)


def test_the_fingerprint_is_that_of_the_particles(hard_events: Events) -> None:
    events = hard_events("qcd", 40)
    assert len({fingerprint(event) for event in events}) == 40
    event = events[0]
    same = HardEvent(**{**vars(event), "index": 7, "weight": 2.0, "scale": 1.0})
    assert fingerprint(same) == fingerprint(event)
    assert event.particles[0].px == 0.0
    minus = [event.particles[0]._replace(px=-0.0), *event.particles[1:]]
    assert fingerprint(HardEvent(**{**vars(event), "particles": minus})) == fingerprint(event)
    first, *others = event.particles
    moved = first._replace(pz=np.nextafter(first.pz, 1.0))
    assert fingerprint(HardEvent(**{**vars(event), "particles": [moved, *others]})) != fingerprint(event)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], None), ([3], None), ([3, 1, 2], None), ([9, 5, 1, 1, 5], (1, 4, 2)), ([7, 7, 7, 2, 2], (0, 1, 3))],
)
def test_the_earliest_that_comes_again_is_found(values: list[int], expected: tuple[int, int, int] | None) -> None:
    assert first_repeated(np.array(values, np.uint64)) == expected


def test_events_that_all_differ_are_taken(campaign: Campaign, hard_shard: Shard, tmp_path: Path) -> None:
    paths = CampaignPaths(str(tmp_path))
    shards = write_jets(campaign, paths, "qcd", [hard_shard("qcd", 0, 15), hard_shard("qcd", 15, 25)])
    check_no_event_twice(paths, "qcd", shards)


def test_the_same_seed_twice_is_named(campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes as seeds, of which two coincide: the events are the same to the bit."""
    from rs3l.hard.hard import generate_shard  # the seeds are changed for it alone

    unique = seeds.seed

    def colliding(campaign_seed: int, process: str, event: int, stage: Any, stream: str) -> int:
        return unique(campaign_seed, process, 3 if (event, stage) == (17, "hard") else event, stage, stream)

    block = blocks.hard(campaign, "qcd", 0).model_copy(update={"events": 10})
    hard = [tmp_path / "0.lhe.gz", tmp_path / "1.lhe.gz"]
    generate_shard(block, hard[0])
    with monkeypatch.context() as patch:
        patch.setattr(seeds, "seed", colliding)
        generate_shard(block.model_copy(update={"first": 10}), hard[1])
    paths = CampaignPaths(str(tmp_path))
    shards = write_jets(campaign, paths, "qcd", hard)
    with pytest.raises(DataError) as error:
        check_no_event_twice(paths, "qcd", shards)
    assert "the hard events 3 and 17 of qcd are one and the same" in str(error.value)
    assert paths.hard("qcd", "0000") in str(error.value) and paths.hard("qcd", "0001") in str(error.value)
    assert "1 such pairs in all" in str(error.value) and "delete the shards" in str(error.value)


def test_external_events_that_are_there_twice_are_refused_by_the_index(
    hard_events: Events, tmp_path: Path
) -> None:
    """Two files with other bytes share events, which have other weights; only the events that are used count."""
    events = hard_events("qcd", 15)
    again = [HardEvent(**{**vars(event), "weight": 2.0}) for event in events[8:]]
    write_lhe(tmp_path / "a.lhe", events[:10])
    write_lhe(tmp_path / "b.lhe", again)
    patterns = tmp_path / "a.lhe", tmp_path / "b.lhe"
    assert make_index(lhe_source(*patterns, events=10)).files[0].used == 10
    with pytest.raises(DataError) as error:
        make_index(lhe_source(*patterns, events=17))
    for part in ("b.lhe: event 0 is ", "a.lhe: event 8 once more (2 such pairs in all)", "take it out"):
        assert part in str(error.value)


def test_undecayed_events_that_are_there_twice_are_refused(hard_events: Events, tmp_path: Path) -> None:
    """Each copy would be decayed in its own way, so that the merge could not tell."""
    events = [before_decays(event) for event in hard_events("higgs_bb", 5)]
    path = write_lhe(tmp_path / "h.lhe", [*events, events[2]])
    changes: dict[str, Any] = {"anchor": [25], "undecayed": True}
    make_index(lhe_source(path, events=5, **changes))
    with pytest.raises(DataError, match=r"h.lhe: event 5 is .*h.lhe: event 2 once more \(1 such pairs in all\)"):
        make_index(lhe_source(path, events=6, **changes))


def test_the_merge_writes_nothing(campaign: Campaign, hard_shard: Shard, tmp_path: Path) -> None:
    """Jets of every process and variant; the second shard of one holds an event of the first."""
    values = campaign.model_copy(
        update={
            "processes": {"qcd": campaign.processes["qcd"].model_copy(update={"events": 30})},
            "variants": {name: campaign.variants[name] for name in ("nominal", "seed")},
            "events_per_shard": 15,
        }
    )
    paths = CampaignPaths(str(tmp_path))
    info, events = read_shard(hard_shard("qcd", 0, 15))
    for variant in values.variants:
        block = blocks.resim(values, "qcd", variant)
        for number in range(2):
            moved = [HardEvent(**{**vars(e), "index": 15 * number + i}) for i, e in enumerate(events)]
            out = Path(paths.jets("qcd", variant, shard_name(number)))
            out.parent.mkdir(parents=True, exist_ok=True)
            with JetsFile(out) as file:
                file.write(no_jets(block, moved))
                file.finish({**_metadata(block, info, None), "rs3l.first": str(15 * number)})
    with pytest.raises(DataError, match=r"hard events \d+ and \d+ of qcd are one and the same.*15 such pairs"):
        merge(blocks.merge(values), paths.root, 1)
    assert not Path(paths.dataset).exists()


def test_jets_of_another_version_have_no_fingerprint(
    campaign: Campaign, hard_shard: Shard, tmp_path: Path
) -> None:
    paths = CampaignPaths(str(tmp_path))
    shards = write_jets(campaign, paths, "qcd", [hard_shard("qcd", 0, 15)])
    table = pq.read_table(shards[0].path)
    pq.write_table(table.drop_columns(["hard_fingerprint"]), shards[0].path)
    with pytest.raises(DataError, match="of another version of the workflow"):
        check_no_event_twice(paths, "qcd", shards)
