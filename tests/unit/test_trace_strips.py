"""Strips by name, and the one that grows with the steps: what a decoder has read."""

from __future__ import annotations

import numpy as np
import pytest

from attnwidget import Site, Trace


def row(n_keys: int, n_queries: int = 1) -> np.ndarray:
    return np.full((2, n_queries, n_keys), 1 / n_keys)


@pytest.fixture
def reader() -> Trace:
    """A decoder that was given two tokens."""
    trace = Trace()
    trace.set_tokens("context", ["<s>", "Once"])
    trace.add_site(Site("own", "decoder", 0, 2, "target", "context"))
    return trace


def test_another_strip_can_be_named_and_counted() -> None:
    trace = Trace()
    trace.set_tokens("patches", ["1,1", "1,2", "2,1"])
    trace.add_site(Site("cross", "cross", 0, 2, "target", "patches"))
    trace.append({"cross": row(3)}, token="a")
    assert trace.tokens["patches"].texts == ("1,1", "1,2", "2,1")
    with pytest.raises(ValueError, match="4 keys but strip 'patches' has 3 tokens"):
        trace.append({"cross": row(4)}, token="b")


@pytest.mark.parametrize("strip", ["", "two words", "1st", "a.b", None, 7])
def test_a_strip_has_a_name(strip: str) -> None:
    with pytest.raises(ValueError, match="a name such as 'source', 'target' or 'context' was expected"):
        Trace().set_tokens(strip, ["a"])


def test_a_trace_without_other_strips_has_two() -> None:
    assert set(Trace().tokens) == {"source", "target"}


def test_what_was_chosen_is_read_in_the_next_step(reader: Trace) -> None:
    seen = []
    for step, token in enumerate(("upon", "a", "time")):
        reader.append({"own": row(2 + step)}, token=token)
        seen.append(reader.tokens["context"].texts)
    assert seen == [("<s>", "Once"), ("<s>", "Once", "upon"), ("<s>", "Once", "upon", "a")]


def test_a_step_knows_where_its_query_stands(reader: Trace) -> None:
    for step in range(3):
        reader.append({"own": row(2 + step)}, token=str(step))
    assert [step.position for step in reader.steps] == [1, 2, 3]


def test_without_a_context_a_step_stands_at_its_index(live: Trace) -> None:
    for _ in range(3):
        live.append({"cross": np.full((3, 1, 5), 0.2)}, token="x")
    assert [step.position for step in live.steps] == [0, 1, 2]


def test_rows_that_come_as_one_matrix_name_what_was_read() -> None:
    trace = Trace(target=["upon", "a", "time"])
    trace.set_tokens("context", ["<s>", "Once"])
    trace.add_site(Site("own", "decoder", 0, 2, "target", "context"))
    trace.append({"own": row(4, n_queries=3)})
    trace.finish()
    assert trace.tokens["context"].texts == ("<s>", "Once", "upon", "a")
    assert [step.position for step in trace.steps] == [1, 2, 3]


def test_a_prompt_that_nobody_named_is_numbered() -> None:
    trace = Trace()
    trace.add_site(Site("own", "decoder", 0, 2, "target", "context"))
    for step, token in enumerate(("upon", "a", "time")):
        trace.append({"own": row(2 + step)}, token=token)
    assert trace.tokens["context"].texts == ("1", "2", "upon", "a")
    assert [step.position for step in trace.steps] == [1, 2, 3]


def test_a_context_can_be_named_after_its_site() -> None:
    trace = Trace()
    trace.add_site(Site("own", "decoder", 0, 2, "target", "context"))
    trace.set_tokens("context", ["<s>"])
    for step in range(2):
        trace.append({"own": row(1 + step)}, token="ab"[step])
    assert trace.tokens["context"].texts == ("<s>", "a")


def test_a_context_that_was_numbered_is_not_named_again() -> None:
    trace = Trace()
    trace.add_site(Site("own", "decoder", 0, 2, "target", "context"))
    trace.append({"own": row(2)}, token="upon")
    with pytest.raises(ValueError, match="it has 2 tokens already"):
        trace.set_tokens("context", ["<s>", "Once"])


def test_missing_rows_are_as_wide_as_what_was_read(reader: Trace) -> None:
    for token in ("upon", "a"):
        reader.append({}, token=token)
    reader.append({"own": row(4)}, token="time")
    assert reader.weights().shape == (2, 3, 4)
    assert np.isnan(reader.weights(0, 0)).sum(1).tolist() == [2, 3, 0]
    assert reader.tokens["context"].texts == ("<s>", "Once", "upon", "a")


def test_missing_rows_do_not_say_how_much_was_read() -> None:
    trace = Trace()
    trace.add_site(Site("own", "decoder", 0, 2, "target", "context"))
    trace.append({}, token="upon")
    trace.append({"own": row(4)}, token="a")
    trace.append({"own": row(5)}, token="time")
    assert trace.tokens["context"].texts == ("1", "2", "3", "upon", "a")


def test_rows_of_the_prompt_itself_are_named_too() -> None:
    trace = Trace()
    trace.add_site(Site("all", "decoder", 0, 2, "context", "context"))
    trace.append({"all": row(3, n_queries=3)})
    trace.append({"all": row(4)}, token="upon")
    assert trace.tokens["context"].texts == ("1", "2", "3", "upon")


def test_a_window_that_forgot_keys_is_no_error(reader: Trace) -> None:
    for token in ("upon", "a", "time"):
        reader.append({"own": row(2)}, token=token)
    assert reader.tokens["context"].texts == ("<s>", "Once")
