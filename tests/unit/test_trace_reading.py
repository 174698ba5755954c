"""What is read of a trace: rows, flags and gaps, by place or by name, also while it grows."""

from __future__ import annotations

import re
import threading
import zlib

import numpy as np
import pytest

from attnwidget import Site, Trace

SOURCE = ("the", " cat", "sat", "on", "it")


def row(value: float = 0.2) -> np.ndarray:
    return np.full((3, 1, 5), value, np.float32)


@pytest.fixture
def gaps(live: Trace) -> Trace:
    """Steps 0 and 2 have no weights."""
    for index, token in enumerate(("die", "Katze", "sass", "da")):
        live.append({"cross": row()} if index % 2 else {}, token=token)
    return live


def test_steps_without_weights_are_flagged_with_their_places(gaps: Trace) -> None:
    (flag,) = gaps.flags
    assert (flag.kind, flag.count, flag.where) == ("missing", 2, ((-1, 0, -1), (-1, 2, -1)))


def test_rows_of_steps_without_weights_are_nan(gaps: Trace) -> None:
    assert np.isnan(gaps.weights("cross")).all((0, 2)).tolist() == [True, False, True, False]


def test_a_missing_first_step_is_as_wide_as_the_source(live: Trace) -> None:
    live.append({}, token="die")
    assert live.weights("cross").shape == (3, 1, 5)


def test_a_missing_row_has_labels_for_its_keys() -> None:
    trace = Trace()
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    trace.append({}, token="die")
    assert len(trace.tokens["source"]) == trace.sites[0].n_keys


def test_the_missing_flag_speaks_of_steps(gaps: Trace) -> None:
    assert str(gaps.flags[0]) == "2 steps have no weights: no attention ran in them (first: query 0)"


def test_a_site_that_appears_late_lacks_the_steps_before(live: Trace) -> None:
    live.append({"cross": row()}, token="die")
    live.add_site(Site("late", "cross", 1, 3, "target", "source"))
    live.append({"cross": row(), "late": row()}, token="Katze")
    assert [flag.where for flag in live.sites[1].flags] == [((-1, 0, -1),)]


def test_flags_of_later_rows_name_their_place(live: Trace) -> None:
    live.append({"cross": row()}, token="die")
    live.append({"cross": row(-0.2)}, token="Katze")
    assert live.sites[0].flags[0].where[0] == (0, 1, 0)


def test_flags_of_all_sites_are_added_up(complete: Trace) -> None:
    odd = Trace.from_weights(np.full((2, 3, 4, 5), np.nan), source=SOURCE, target=list("abcd"))
    assert [(flag.kind, flag.count) for flag in odd.flags] == [("nan", 120)]


# -- reading back


def test_weights_come_back_as_they_went_in(complete: Trace, weights: np.ndarray) -> None:
    assert np.array_equal(complete.weights(1), weights[1])


@pytest.mark.parametrize("site", [1, -1, "cross.1"])
def test_a_site_is_found_by_place_or_name(complete: Trace, weights: np.ndarray, site: str | int) -> None:
    assert np.array_equal(complete.weights(site), weights[1])


def test_a_site_is_found_by_itself(complete: Trace, weights: np.ndarray) -> None:
    assert np.array_equal(complete.weights(complete.sites[1]), weights[1])


def test_one_head_is_chosen(complete: Trace, weights: np.ndarray) -> None:
    assert np.array_equal(complete.weights(0, 2), weights[0, 2])


def test_the_mean_is_over_heads(complete: Trace, weights: np.ndarray) -> None:
    assert complete.weights(0, "mean") == pytest.approx(weights[0].mean(0), abs=1e-7)


def test_queries_and_keys_are_chosen(complete: Trace, weights: np.ndarray) -> None:
    assert np.array_equal(complete.weights(0, None, slice(1, 3), [4, 0]), weights[0, :, 1:3][:, :, [4, 0]])


def test_what_is_read_is_a_copy(complete: Trace, weights: np.ndarray) -> None:
    complete.weights(0)[:] = 0
    assert np.array_equal(complete.weights(0), weights[0])


@pytest.mark.parametrize("site", [2, -3, "other"])
def test_a_site_that_is_not_there_is_refused(complete: Trace, site: str | int) -> None:
    with pytest.raises(KeyError, match="was asked for"):
        complete.weights(site)


@pytest.mark.parametrize("head", [3, -4, "median"])
def test_a_head_that_is_not_there_is_refused(complete: Trace, head: object) -> None:
    with pytest.raises(IndexError, match="3 heads"):
        complete.weights(0, head)


def test_strength_of_one_head_has_one_axis(complete: Trace, weights: np.ndarray) -> None:
    assert complete.strength(0, 2) == pytest.approx(weights[0, 2].sum(0), abs=1e-6)


def test_strength_of_all_heads_has_two_axes(complete: Trace) -> None:
    assert complete.strength().shape == (3, 5)


def test_the_digest_is_a_crc_of_little_endian_float32(complete: Trace, weights: np.ndarray) -> None:
    assert complete.digest(1, 2) == zlib.crc32(weights[1, 2].astype("<f4").tobytes())


# -- observers and threads


def test_observers_hear_of_each_change() -> None:
    trace, heard = Trace(), []
    trace.observe(lambda seen: heard.append(seen.cursor))
    trace.set_tokens("source", SOURCE)
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    trace.append({"cross": row()}, token="die")
    trace.finish()
    assert len(set(map(repr, heard))) == 4


def test_an_observer_that_left_hears_nothing(live: Trace) -> None:
    heard: list[Trace] = []
    leave = live.observe(heard.append)
    leave()
    leave()
    live.append({"cross": row()}, token="die")
    assert heard == []


def test_an_observer_that_raises_does_not_stop_the_recording(live: Trace, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Trace] = []
    live.observe(lambda _: 1 / 0)
    live.observe(heard.append)
    live.append({"cross": row()}, token="die")
    assert (len(heard), "an observer of the trace failed" in caplog.text) == (1, True)


def test_a_reader_sees_whole_steps_while_a_writer_appends() -> None:
    trace = Trace(source=SOURCE)
    for layer in range(2):
        trace.add_site(Site(f"cross.{layer}", "cross", layer, 3, "target", "source"))
    done, torn = threading.Event(), []

    def read() -> None:
        while not done.is_set():
            cursor = trace.cursor
            counts = {cursor.n_steps, cursor.n_tokens["target"], *cursor.n_queries.values()}
            array = trace.weights(1)
            if len(counts) > 1 or not np.array_equal(array[0, :, 0], np.arange(len(array[0]))):
                torn.append(counts)

    trace.append({"cross.0": row(0), "cross.1": row(0)}, token="0")
    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for step in range(1, 400):
        trace.append({"cross.0": row(step), "cross.1": row(step)}, token=str(step))
    done.set()
    for reader in readers:
        reader.join()
    assert torn == []


def test_errors_quote_no_token() -> None:
    trace = Trace(source=["<script>"])
    with pytest.raises(ValueError, match="1 tokens already") as caught:
        trace.set_tokens("source", ["<script>"])
    assert not re.search("script", str(caught.value))
