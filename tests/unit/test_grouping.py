"""Groups of tokens: what is put together, and that rows still sum to what they summed to."""

from __future__ import annotations

import numpy as np
import pytest

from attnwidget import Site, Trace, grouped, grouping


def traced(source: list[str], target: list[str] | None = None, n_heads: int = 2) -> Trace:
    shape = (n_heads, len(target or source), len(source))
    weights = np.random.default_rng(3).dirichlet(np.ones(shape[2]), shape[:2]).astype(np.float32)
    return Trace.from_weights(weights, source=source, target=target)


def texts(trace: Trace, strip: str = "source") -> tuple[str, ...]:
    return trace.tokens[strip].texts


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["The", " un", "believ", "able", " cat", "."], ["The", "unbelievable", "cat", "."]),
        (["[CLS]", "un", "##believ", "##able", "cat", "[SEP]"], ["[CLS]", "unbelievable", "cat", "[SEP]"]),
        (["▁The", "▁c", "at", "</s>", "x"], ["▁The", "▁cat", "</s>", "x"]),
        (["four", "thousand", "eight"], ["four", "thousand", "eight"]),
        (["<s>", "Hello", " world", "!", "!"], ["<s>", "Hello", "world", "!", "!"]),
    ],
)
def test_sub_words_become_words(tokens: list[str], words: list[str]) -> None:
    assert list(texts(grouped(traced(tokens)))) == words


def test_words_are_joined_by_spaces() -> None:
    assert texts(grouped(traced(["four", "thousand", "eight"]), {"source": [(0, 2)]})) == ("four thousand", "eight")


def test_words_become_sentences() -> None:
    tokens = ["Hi", ".", " You", " there", "?", " Line", "\n", "next"]
    assert texts(grouped(traced(tokens), "sentences")) == ("Hi.", "You there?", "Line", "next")


@pytest.mark.parametrize("by", ["words", "sentences", {"source": [(0, 3), (4, 6)], "target": [(1, 3)]}])
def test_rows_still_sum_to_one(by: grouping.By | dict[str, grouping.Spans]) -> None:
    trace = traced(["a", " b", "c", " d.", "e", " f"], ["x", "y", " z."])
    found = grouped(trace, by)
    assert found.weights(0).sum(2) == pytest.approx(np.ones(found.weights(0).shape[:2]), abs=1e-6)
    assert found.flags == ()


def test_a_group_has_the_sum_over_keys_and_the_mean_over_queries() -> None:
    trace = traced(list("abcdef"), list("xyz"))
    found = grouped(trace, {"source": [(1, 4)], "target": [(0, 2)]}).weights(0)
    weights = trace.weights(0)
    assert found[:, 0, 1] == pytest.approx(weights[:, :2, 1:4].sum(2).mean(1), abs=1e-6)
    assert found[:, 1, 0] == pytest.approx(weights[:, 2, 0], abs=1e-6)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = traced([f" w{i // 3}" if i % 3 == 0 else "x" for i in range(40)])
    whole = grouped(trace).weights(0)
    monkeypatch.setattr(grouping, "BLOCK", 1)
    assert np.array_equal(grouped(trace).weights(0), whole)


def test_rows_without_weights_are_left_aside() -> None:
    weights = np.full((1, 4, 2), 0.5, np.float32)
    weights[0, [0, 2, 3]] = np.nan
    found = grouped(Trace.from_weights(weights, source=["a", "b"], target=list("wxyz")), {"target": [(0, 2), (2, 4)]})
    assert found.weights(0, 0) == pytest.approx(np.array([[0.5, 0.5], [np.nan, np.nan]]), nan_ok=True)


def test_what_a_decoder_wrote_begins_anew_behind_its_prompt() -> None:
    trace = Trace()
    trace.set_tokens("context", ["Once", " up"])
    trace.add_site(Site("own", "decoder", 0, 1, "target", "context"))
    for index, token in enumerate(["on", " a", " ti", "me"]):
        n_keys = 2 + index
        trace.append({"own": np.full((1, 1, n_keys), 1 / n_keys)}, token=token)
    trace.finish()
    found = grouped(trace)
    assert (texts(found, "read"), texts(found, "target")) == (("Once", "up", "on", "a", "ti"), ("on", "a", "time"))
    assert found.weights(0).sum(2) == pytest.approx(np.ones((1, 3)))


@pytest.mark.parametrize(
    ("spans", "error", "said"),
    [
        ({"nowhere": [(0, 1)]}, KeyError, "nowhere"),
        ({"source": [(0, 9)]}, ValueError, "source: span 0 to 9 came, it has 3 tokens"),
        ({"source": [(2, 1)]}, ValueError, "span 2 to 1"),
        ({"source": [(0, 2), (1, 3)]}, ValueError, "overlaps"),
    ],
)
def test_spans_that_do_not_fit_are_refused(spans: dict[str, grouping.Spans], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        grouped(traced(list("abc")), spans)


def test_too_many_groups_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match=r"group by .sentences."):
        grouped(traced(list("abc")))
