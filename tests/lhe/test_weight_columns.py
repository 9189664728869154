"""Names of columns of additional weights, and which of them an external file gives."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from rs3l.errors import DataError
from rs3l.hard.external import make_index
from rs3l.lhe.lhe import HardEvent
from rs3l.lhe.weights import chosen_columns, column_name, read_columns
from support.lhe_writers import lhe_source, write_lhe

Events = Callable[[str, int], list[HardEvent]]
N = 6


@pytest.mark.parametrize(
    ("identifier", "column"),
    [
        ("1001", "weight_1001"),
        ("MUR0.5_MUF2.0_PDF261000", "weight_mur0_5_muf2_0_pdf261000"),
        (" muR = 0.5, muF=1.0 ", "weight_mur_0_5_muf_1_0"),
        ("weights[3] (2)", "weight_weights_3_2"),
        ("kappa=-1", "weight_kappa_m1"),
        ("μ", "weight_unnamed"),
    ],
)
def test_names_are_safe(identifier: str, column: str) -> None:
    assert column_name(identifier) == column


def test_patterns_choose_in_the_order_of_the_event() -> None:
    names = ["b", "a1", "a2", "[x]"]
    assert list(chosen_columns("f", ["a*", "b"], names).values()) == ["b", "a1", "a2"]
    assert chosen_columns("f", ["[x]"], names) == {"weight_x": "[x]"}
    assert chosen_columns("f", [], names) == {}


def test_what_cannot_be_chosen_is_named() -> None:
    with pytest.raises(DataError, match=r"f: no additional weight 'c' \(key `lhe_weights`\); it has a, b"):
        chosen_columns("f", ["a", "c"], ["a", "b"])
    with pytest.raises(DataError, match="it has none"):
        chosen_columns("f", ["c"], [])
    with pytest.raises(DataError, match="'A.1' and 'a 1' would both be the column weight_a_1"):
        chosen_columns("f", ["*"], ["A.1", "a 1"])


def test_weights_are_read_back_by_their_names() -> None:
    text = '<wgt id="a &amp; b">1.5</wgt>\n<wgt id=\'say "c"\'>-2e-3</wgt>\n</rwgt>'
    assert read_columns(text, {"x": "a & b", "y": 'say "c"'}) == {"x": 1.5, "y": -2e-3}
    with pytest.raises(ValueError, match="an event without the weight 'd'"):
        read_columns(text, {"z": "d"})


def test_an_index_knows_the_cross_section_with_each_weight(
    hard_events: Events, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The mean of the weights against XSECUP, as the generator would write it."""
    events = hard_events("qcd", 2 * N)
    write_lhe(tmp_path / "a.lhe", events[:N])
    write_lhe(tmp_path / "b.lhe", events[N:])
    with caplog.at_level(logging.WARNING):
        index = make_index(lhe_source(tmp_path / "*.lhe", events=2 * N, weights=["1001", "1002"]))
    assert index.columns == {"weight_1001": "1001", "weight_1002": "1002"} and not caplog.text
    assert index.cross_section_of("weight_1001") == pytest.approx(1.1 * index.cross_section[0], rel=1e-6)
    total = sum(event.weight for event in events[:N])
    assert index.files[0].sums_of_columns["weight_1002"] == pytest.approx(0.9 * total, rel=1e-6)


def test_without_the_key_an_index_is_what_it_was(hard_events: Events, tmp_path: Path) -> None:
    path = write_lhe(tmp_path / "a.lhe", hard_events("qcd", N))
    text = make_index(lhe_source(path, events=N)).model_dump_json()
    assert "columns" not in text and '"weights":["1001","1002"]' in text


def test_a_weight_that_an_event_lacks_is_refused(hard_events: Events, tmp_path: Path) -> None:
    def edit(text: str) -> str:
        place = text.rindex("<wgt id='1002'")
        return text[:place] + text[text.index("</wgt>", place) + len("</wgt>") :]

    path = write_lhe(tmp_path / "a.lhe", hard_events("qcd", N), edit=edit)
    with pytest.raises(DataError, match=rf"a.lhe: event {N - 1}: the additional weight '1002', a column"):
        make_index(lhe_source(path, events=N, weights=["100?"]))
    assert make_index(lhe_source(path, events=N, weights=["1001"])).columns == {"weight_1001": "1001"}


def test_weights_of_another_size_are_said(
    hard_events: Events, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Factors in place of weights, for events of weight 0.01."""
    events = [HardEvent(**{**vars(e), "weight": 0.01}) for e in hard_events("qcd", N)]
    path = write_lhe(tmp_path / "a.lhe", events, edit=lambda text: text.replace("+1.1000000e-02", "+1.1"))
    make_index(lhe_source(path, events=N, weights=["1001", "1002"]))
    assert "with the weights '1001' the cross-section would be 715 pb instead of 6.5 pb" in caplog.text
    assert "'1002'" not in caplog.text


def test_powheg_events_are_accepted_with_a_warning(
    hard_events: Events, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_lhe(tmp_path / "a.lhe", hard_events("qcd", N), "powheg")
    make_index(lhe_source(path, events=N, accept=["powheg"]))
    assert "qcd: POWHEG events: the showers begin at SCALUP" in caplog.text and "docs/hard.md" in caplog.text
