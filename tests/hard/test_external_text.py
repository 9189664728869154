"""The text of external files: weights with their names, tags in one line, and files made to exhaust a machine."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pylhe
import pytest

from rs3l.config.blocks import LheBlock
from rs3l.errors import DataError
from rs3l.hard.external import external_shard, make_index
from rs3l.lhe import files as lhe_files
from rs3l.lhe.lhe import HardEvent, open_shard, read_shard
from support.lhe_writers import lhe_source, write_lhe

Events = Callable[[str, int], list[HardEvent]]
N = 4


def weighted(path: Path, events: list[HardEvent], declared: str, of_event: str) -> Path:
    """Write a file whose events all have the same additional weights."""

    def edit(text: str) -> str:
        return text.replace("<header>", f"<header>{declared}").replace("</event>", f"{of_event}</event>")

    return write_lhe(path, events, "sherpa", edit=edit)


def shard(path: Path, events: int, out: Path) -> Path:
    """Write all events of a file into one shard."""
    of = lhe_source(path, events=events)
    external_shard(LheBlock(seed=7, process="qcd", first=0, events=events, decays={}, source=of), out)
    return out


def wgt(**weights: Any) -> str:
    return "<rwgt>" + "".join(f"<wgt id={name}>{value}</wgt>\n" for name, value in weights.items()) + "</rwgt>\n"


TWO = '<initrwgt><weight id="1">a</weight><weight id="2">b</weight></initrwgt>'


@pytest.mark.parametrize(
    ("declared", "of_event", "expected"),
    [
        ("", "<rwgt>\n<wgt id='muR=0.5 muF=0.5'> 1.5 </wgt>\n<wgt id='muR=0.5 muF=1.0'> 1.2 </wgt>\n</rwgt>\n",
         {"muR=0.5 muF=0.5": 1.5, "muR=0.5 muF=1.0": 1.2}),
        ("", "<rwgt>\n<wgt id=' 1001'> 1.5 </wgt>\n</rwgt>\n", {" 1001": 1.5}),
        ("", "<rwgt>\n<wgt id='a &amp; &lt;b&gt; &#38;'> 1.5 </wgt>\n</rwgt>\n", {"a & <b> &": 1.5}),
        ("", """<rwgt><wgt id="it's > 1">1.5</wgt><wgt id=7>1.2</wgt></rwgt>\n""", {"it's > 1": 1.5, "7": 1.2}),
        ("", "<rwgt><wgt a='id=3' id='\xc2\xb5'>1.5</wgt></rwgt>\n", {"\u00b5": 1.5}),
        ("", "<rwgt><wgt id='1'>1</wgt><wgt id='1'>2</wgt><wgt id='1 (2)'>3</wgt><wgt id='1'>4</wgt></rwgt>\n",
         {"1": 1.0, "1 (2)": 2.0, "1 (2) (2)": 3.0, "1 (3)": 4.0}),
        ("", "<rwgt><wgt>1.5</wgt><wgt id='b'>2.5</wgt></rwgt>\n", {"rwgt[0]": 1.5, "b": 2.5}),
        (TWO, "<weights> 9.0\n 8.0 </weights>\n", {"1": 9.0, "2": 8.0}),
        (TWO, "<rwgt><wgt id='1'>1.5</wgt><wgt id='2'>1.2</wgt></rwgt>\n<weights> 9.0 8.0 </weights>\n",
         {"1": 1.5, "2": 1.2, "weights[0]": 9.0, "weights[1]": 8.0}),
        (TWO, "<weights> 9.0 8.0 7.0 </weights>\n", {"weights[0]": 9.0, "weights[1]": 8.0, "weights[2]": 7.0}),
        ("", "<weight name='sqme_prc'>0.25</weight>\n", {"sqme_prc": 0.25}),
    ],
)  # fmt: skip
def test_every_additional_weight_survives_with_its_name(
    hard_events: Events, tmp_path: Path, declared: str, of_event: str, expected: dict[str, float]
) -> None:
    path = weighted(tmp_path / "a.lhe", hard_events("qcd", N), declared, of_event)
    out = shard(path, N, tmp_path / "0000.lhe.gz")
    found = list(pylhe.LHEFile.fromfile(str(out)).events)
    assert [event.weights for event in found] == [expected] * N
    assert len(read_shard(out)[1]) == N


def test_the_declaration_names_equal_weights_as_the_events_do(hard_events: Events, tmp_path: Path) -> None:
    declared = (
        '<initrwgt><weightgroup name="x"><weight id="a &amp; b">one</weight><weight id="a &amp; b">two</weight>'
        "</weightgroup></initrwgt>"
    )
    path = weighted(tmp_path / "a.lhe", hard_events("qcd", N), declared, "<weights>1.5 2.5</weights>\n")
    header = pylhe.LHEFile.fromfile(str(shard(path, N, tmp_path / "0000.lhe.gz"))).header
    assert header is not None
    assert [(w.id, w.name) for w in header.initrwgt.iter_weights()] == [("a & b", "one"), ("a & b (2)", "two")]


@pytest.mark.parametrize(
    "of_event",
    ["<rwgt><wgt id='1'></wgt></rwgt>\n", "<rwgt><wgt id='1>1.5</wgt></rwgt>\n", "<rwgt><wgt id='1' 1.5</rwgt>\n",
     "<rwgt><wgt id='1'>1.5 2.5</wgt></rwgt>\n", f"<rwgt><wgt id='{'x' * 3000}'>1.5</wgt></rwgt>\n"],
)  # fmt: skip
def test_a_weight_that_cannot_be_read_is_not_left_out(hard_events: Events, tmp_path: Path, of_event: str) -> None:
    path = weighted(tmp_path / "a.lhe", hard_events("qcd", N), "", of_event)
    with pytest.raises(DataError, match=r"a.lhe: event 0 cannot be read \(.*\); get or generate the file again"):
        make_index(lhe_source(path, events=N))


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("</event>\n<event>", "</event><event>"),
        lambda text: text.replace("</event>\n<event>", "</event> <!-- next --> <event>", 1),
        lambda text: text.replace("</init>\n<event>", "</init><event>"),
        lambda text: text.replace("</event>\n</LesHouchesEvents>\n", "</event></LesHouchesEvents>"),
        lambda text: text.replace("</event>", "</event >"),
        lambda text: text.replace("<event>\n ", "<event> "),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("<event>\n", "<event>\n\n").replace("\n       ", "\n \n# a comment\n       "),
        lambda text: text.replace("<header>", "<header> as in <event> and </event>, </LesHouchesEvents>"),
    ],
)
def test_tags_may_share_a_line_and_blank_lines_are_skipped(
    hard_events: Events, tmp_path: Path, edit: Callable[[str], str]
) -> None:
    """The same events with the same keys."""
    plain = write_lhe(tmp_path / "a.lhe", hard_events("qcd", N), "sherpa")
    other = write_lhe(tmp_path / "b.lhe", hard_events("qcd", N), "sherpa", edit=edit)
    assert plain.read_bytes() != other.read_bytes()
    assert make_index(lhe_source(other, events=N)).files[0].events == N
    shards = [read_shard(shard(path, N, path.with_suffix(".gz")))[1] for path in (plain, other)]
    assert shards[0] == shards[1]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("</event>\n</LesHouchesEvents>", "</LesHouchesEvents>", "the file ends inside event 3"),
        ("<event>", "<event/><event>", "a new event begins inside event 0"),
        ("</event>", "</event></event>", "an event ends after event 0 that did not begin"),
        ("</init>", "</init>\n<eventgroup>", r"in groups \(<eventgroup>\) that belong together"),
        ("<event>\n ", "<event>\n inf ", "event 0 cannot be read"),
        ("<event>\n 6", "<event>\n 1e400", "event 0 cannot be read"),
        ("2212 2212", "inf 2212", "no usable <init> block"),
    ],
)
def test_no_event_is_lost_without_a_word(
    hard_events: Events, tmp_path: Path, old: str, new: str, expected: str
) -> None:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    path = write_lhe(tmp_path / "a.lhe", hard_events("qcd", N), edit=edit)
    with pytest.raises(DataError, match=f"a.lhe: .*{expected}"):
        make_index(lhe_source(path, events=N))


MANY = 100_000
"""Repetitions that a search from each of them to the end would take many minutes for."""


@pytest.mark.parametrize(
    "more",
    [
        "<init>\n", "<initrwgt>\n", "<weight \n", "<LesHouchesEvents \n", "\n", " \n", "'\n", '<weight id="\n',
        "<init version=\n", "1\n", "parton_shower\n", "numevts \n",
        "1" * 1000 + "\n", "a" * 1000 + "\n",
    ],
)  # fmt: skip
def test_a_head_of_beginnings_without_an_end_is_read_once(hard_events: Events, tmp_path: Path, more: str) -> None:
    """The file is as good as without them."""
    text = more * min(MANY, 2_000_000 // len(more))
    path = write_lhe(
        tmp_path / "a.lhe",
        hard_events("qcd", N),
        edit=lambda whole: whole.replace("<MGRunCard>\n", f"<MGRunCard>\n{text}", 1),
    )
    assert make_index(lhe_source(path, events=N)).files[0].events == N


@pytest.mark.parametrize(
    "more", ["<wgt \n", "<weights \n", "<wgt id='\n", "<weights>\n", "npLO = \n", "\n", "# \n"]
)
def test_an_event_of_beginnings_without_an_end_is_read_once(
    hard_events: Events, tmp_path: Path, more: str
) -> None:
    path = weighted(tmp_path / "a.lhe", hard_events("qcd", 1), "", more * MANY)
    try:
        make_index(lhe_source(path, events=1))
    except DataError as error:
        assert "event 0 cannot be read (an additional weight is not written as it should be)" in str(error)
        assert "<w" in more
    else:
        assert "<wgt" not in more


def test_many_weights_of_one_name_are_told_apart_in_one_pass(hard_events: Events, tmp_path: Path) -> None:
    path = weighted(
        tmp_path / "a.lhe", hard_events("qcd", 1), "", "<rwgt>" + "<wgt id='1'>2</wgt>\n" * 20_000 + "</rwgt>"
    )
    out = shard(path, 1, tmp_path / "0000.lhe.gz")
    assert gzip.decompress(out.read_bytes()).count(b"<wgt ") == 20_000
    assert len(list(open_shard(out)[1])) == 1


@pytest.mark.parametrize("place", ["head", "event", "between"])
def test_a_line_without_an_end_is_refused_after_its_first_megabyte(
    hard_events: Events, tmp_path: Path, place: str
) -> None:
    """A gzipped file of 40 kB with one line of 40 MB: memory is that of a line that is allowed."""
    marks = {"head": "<header>", "event": "<event>", "between": "</event>"}
    long = marks[place] + "0" * 40 * lhe_files.MAX_LINE
    path = write_lhe(
        tmp_path / "a.lhe.gz",
        hard_events("qcd", N),
        "sherpa",
        edit=lambda text: text.replace(marks[place], long, 1),
    )
    where = {"head": "before the first event", "event": "inside event 0|before the first", "between": ""}[place]
    tracemalloc.start()
    with pytest.raises(DataError, match=f"a.lhe.gz: a line of more than 1048576 characters .*({where})"):
        make_index(lhe_source(path, events=N))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * lhe_files.MAX_LINE


@pytest.mark.parametrize("place", ["head", "event"])
def test_head_and_events_have_a_largest_size(
    hard_events: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path = write_lhe(tmp_path / "a.lhe", hard_events("qcd", N))
    make_index(lhe_source(path, events=N))
    monkeypatch.setattr(lhe_files, f"MAX_{place.upper()}", 500)
    where = {"head": "before the first event", "event": "inside event 0"}[place]
    with pytest.raises(DataError, match=f"a.lhe: [0-9]+ characters {where}: no Les Houches file"):
        make_index(lhe_source(path, events=N))
