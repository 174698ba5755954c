"""The strips of a trace by themselves: what is known, what was read, what nobody named."""

from __future__ import annotations

import re

import pytest

from attnwidget.strips import Strips


def test_a_strip_that_was_given_is_known_unless_it_grows() -> None:
    strips = Strips()
    strips.set("source", ["a", "b"])
    strips.set("context", ["p", "q", "r"])
    assert (strips.known, strips.n_read) == ({"source"}, 3)
    assert strips.tokens("context").texts == ("p", "q", "r")
    assert strips.tokens("target").texts == ()


@pytest.mark.parametrize(
    ("strip", "tokens", "said"),
    [
        (
            "the source",
            ["a"],
            "strip 'the source' was named, a name such as 'source', 'target' or 'context' was expected.",
        ),
        ("", ["a"], "strip '' was named, a name such as"),
        (7, ["a"], "strip 7 was named, a name such as"),
        ("target", [], "target: no tokens came, at least one was expected."),
        ("source", ["b"], "source: it has 2 tokens already. Make a new Trace."),
    ],
)
def test_what_is_no_strip_is_refused(strip: str, tokens: list[str], said: str) -> None:
    strips = Strips()
    strips.set("source", ["a", "b"])
    with pytest.raises(ValueError, match="^" + re.escape(said)):
        strips.set(strip, tokens)
    assert (strips.known, strips.texts) == ({"source"}, {"source": ["a", "b"], "target": []})


def test_a_site_opens_the_context_and_nothing_else() -> None:
    strips = Strips()
    strips.open("target", "context", site="own")
    assert strips.texts == {"source": [], "target": [], "context": []}
    said = "site 'own' counts strip 'patches', one of 'source', 'target', 'context' was expected. "
    for pair in (("patches", "source"), ("source", "patches")):
        with pytest.raises(ValueError, match="^" + re.escape(said + "Name others with set_tokens.") + "$"):
            strips.open(*pair, site="own")


# -- of a file


def test_strips_of_a_file_are_known_as_it_says() -> None:
    strips = Strips()
    texts = {"source": ["a"], "target": ["x", "y"], "context": ["p", "x"], "empty": []}
    strips.restore(texts, ["source", "context", "empty"], 1)
    assert strips.texts == texts
    assert (strips.known, strips.n_read) == ({"source"}, 1)


@pytest.mark.parametrize(("n_read", "fits"), [(None, True), (0, True), (2, True), (3, False), (-1, False)])
def test_no_more_was_read_than_there_is(n_read: int | None, fits: bool) -> None:
    strips = Strips()
    if fits:
        strips.restore({"context": ["p", "q"]}, [], n_read)
        assert strips.n_read == n_read
    else:
        with pytest.raises(ValueError, match=rf"^context: {n_read} tokens were read, it has 2\.$"):
            strips.restore({"context": ["p", "q"]}, [], n_read)


def test_nothing_was_read_where_there_is_no_context() -> None:
    with pytest.raises(ValueError, match=r"^context: 1 tokens were read, it has 0\.$"):
        Strips().restore({"source": ["a"]}, [], 1)


# -- what was read


@pytest.mark.parametrize(
    ("query", "n_queries", "n_keys", "n_read"),
    [("target", 1, 4, 4), ("target", 3, 6, 4), ("target", 5, 3, 0), ("context", 3, 6, 6)],
)
def test_rows_show_how_much_was_read_before_the_first(query: str, n_queries: int, n_keys: int, n_read: int) -> None:
    strips = Strips()
    strips.learn_n_read(query, n_queries, n_keys)
    assert strips.n_read == n_read
    strips.learn_n_read("context", 1, 99)
    assert strips.n_read == n_read  # it is learned once


@pytest.mark.parametrize(("n_read", "position"), [(None, 7), (0, 7), (1, 7), (2, 8), (4, 10)])
def test_the_query_of_a_step_is_the_last_token_that_was_read(n_read: int | None, position: int) -> None:
    strips = Strips()
    strips.n_read = n_read
    assert strips.position(7) == position


def test_a_query_sees_what_was_read_before_it() -> None:
    strips = Strips()
    strips.set("source", list("abc"))
    strips.texts["target"] = list("xy")
    assert [strips.n_seen(strip, 5) for strip in ("source", "target")] == [3, 1]
    strips.open("context", site="own")
    assert strips.n_seen("context", 5) == 1  # nobody knows how much
    for n_read, n_seen in ((0, 5), (2, 7)):
        strips.n_read = n_read
        assert strips.n_seen("context", 5) == n_seen
    strips.n_read = 0
    assert strips.n_seen("context", 0) == 1


# -- what nobody named


def test_tokens_that_nobody_named_are_numbered() -> None:
    strips = Strips()
    strips.name_up_to("source", 3)
    strips.name_up_to("source", 2)
    strips.name_up_to("source", 4)
    assert strips.texts["source"] == ["1", "2", "3", "4"]


def test_what_is_in_the_context_past_the_prompt_is_the_output() -> None:
    strips = Strips()
    strips.texts["target"] = list("xyz")
    strips.set("context", ["p"])
    strips.name_up_to("context", 3)
    assert strips.texts["context"] == ["p", "x", "y"]
    strips.name_up_to("context", 6)
    assert strips.texts["context"] == ["p", "x", "y", "z", "5", "6"]


def test_a_context_of_which_nobody_knows_what_was_read_is_numbered() -> None:
    strips = Strips()
    strips.texts |= {"target": list("xyz"), "context": []}
    strips.name_up_to("context", 2)
    assert strips.texts["context"] == ["1", "2"]
    strips.n_read = 2
    strips.name_up_to("context", 4)
    assert strips.texts["context"] == ["1", "2", "x", "y"]


def test_another_strip_is_no_context() -> None:
    strips = Strips()
    strips.texts["target"] = list("xyz")
    strips.n_read = 0
    strips.name_up_to("source", 2)
    assert strips.texts["source"] == ["1", "2"]
