"""Tables of a trace: every weight comes back, and no token becomes a formula."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import attnwidget as aw
from attnwidget import tables

TOKENS = ['=HYPERLINK("x")', "+1", "-1", "@a", " a", "a ", "\n", '"', "\ud800", ",", "\u202e", "\x1b[31m"]


@pytest.fixture
def trace() -> aw.Trace:
    weights = np.random.default_rng(0).random((2, 3, len(TOKENS))).astype(np.float32)
    return aw.Trace.from_weights(weights, source=TOKENS, target=["=x", "y", "z"], title="=1+1")


def test_each_weight_has_a_line(trace: aw.Trace, tmp_path: Path) -> None:
    trace.to_csv(tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        head, *lines = csv.reader(file)
    assert tuple(head) == tables.CSV_HEADER
    weights = trace.weights()
    assert len(lines) == weights.size
    for _, _, number, query, query_token, key, key_token, weight in lines:
        place = int(number), int(query), int(key)
        assert np.float32(weight) == weights[place]
        assert json.loads(key_token) == TOKENS[place[2]]
        assert json.loads(query_token) == ["=x", "y", "z"][place[1]]
    assert not [cell for line in lines for cell in line if cell[:1] in "=+-@\t\r"]


def test_arrays_come_back_without_pickle(trace: aw.Trace, tmp_path: Path) -> None:
    trace.to_npz(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["weights_0"], trace.weights())
        about = json.loads(str(found["about"]))
    assert about["tokens"]["source"] == TOKENS
    assert about["sites"][0]["key"] == "source"


@pytest.mark.parametrize("write", [tables.to_csv, tables.to_npz])
def test_what_is_too_much_for_a_table_is_refused(
    write: object, trace: aw.Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_MOST_NUMBERS", 10)
    with pytest.raises(ValueError, match="72 weights was asked for, 10 is the most"):
        write(trace, tmp_path / "a")  # type: ignore[operator]
    assert list(tmp_path.iterdir()) == []


def test_a_summary_can_be_shown_in_a_terminal(trace: aw.Trace) -> None:
    said = tables.summary(trace)
    assert all(c.isprintable() or c == "\n" for c in said)
    for part in ("3 x 12", "cross", "do not sum to 1", "source (12)"):
        assert part in said


def test_a_summary_of_long_names_stays_short() -> None:
    long = "n" * 100_000
    trace = aw.Trace(source=[long, "b"], title=long)
    trace.set_tokens(f"s{long}", ["a"])
    trace.add_site(aw.Site(long, "encoder", 0, 1, "source", "source"))
    trace.append({long: [[[0.5, -0.5], [0.5, 0.5]]]})
    assert len(said := tables.summary(trace)) < 1500
    assert said.count("n" * 59 + "…") == 6  # title, token, strip, site and its two flags
    assert len(repr(trace)) < 200
