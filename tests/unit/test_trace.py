"""A trace only grows, all at once or not at all, and gives back what went in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from attnwidget import Site, Trace
from attnwidget.stores import Factors, Visible

SOURCE = ("the", " cat", "sat", "on", "it")


def row(value: float = 0.2, n_keys: int = 5, n_heads: int = 3) -> np.ndarray:
    return np.full((n_heads, 1, n_keys), value, np.float32)


def factors(n_queries: int = 1, n_keys: int = 5) -> Factors:
    rng = np.random.default_rng(n_keys)
    queries, keys = (rng.normal(size=(3, n, 8)).astype(np.float32) for n in (n_queries, n_keys))
    return Factors(queries, keys, Visible.all(n_queries, n_keys), 0.5)


def state(trace: Trace) -> object:
    """All that can be read of a trace."""
    return trace.cursor, trace.tokens, trace.sites, trace.steps, [trace.weights(site).tobytes() for site in trace.sites]


def test_a_new_trace_is_empty() -> None:
    assert (Trace().status, Trace().sites, Trace().steps) == ("empty", (), ())


def test_each_trace_is_another_run() -> None:
    assert Trace().run != Trace().run
    assert len(Trace().run) == 32


def test_a_step_adds_a_row_a_token_and_its_candidates(live: Trace) -> None:
    live.append({"cross": row()}, token="die", candidates=[("die", 0.7), ("das", 0.2)])
    (step,) = live.steps
    assert (step.index, step.token, [(c.token, c.probability) for c in step.candidates]) == (
        0,
        "die",
        [("die", 0.7), ("das", 0.2)],
    )


def test_steps_fill_the_target(live: Trace) -> None:
    for token in ("die", "Katze"):
        live.append({"cross": row()}, token=token)
    assert live.tokens["target"].texts == ("die", "Katze")


def test_a_trace_grows_along_both_axes() -> None:
    trace = Trace()
    trace.add_site(Site("own", "decoder", 0, 3, "target", "target"))
    for n_keys in range(1, 5):
        trace.append({"own": row(1 / n_keys, n_keys)}, token=str(n_keys))
    assert trace.weights("own", 0).tolist() == [
        pytest.approx([1 / n if key < n else 0 for key in range(4)]) for n in range(1, 5)
    ]


def test_a_strip_that_nobody_named_is_numbered() -> None:
    trace = Trace()
    trace.add_site(Site("own", "encoder", 0, 3, "source", "source"))
    trace.append({"own": np.full((3, 4, 5), 0.2)})
    assert trace.tokens["source"].texts == ("1", "2", "3", "4", "5")


def test_the_status_goes_from_empty_to_complete(live: Trace) -> None:
    seen = [live.status]
    live.append({"cross": row()}, token="die")
    seen.append(live.status)
    live.finish()
    assert [*seen, live.status] == ["empty", "recording", "complete"]


# -- a call that raises changes nothing

BAD_APPENDS: dict[str, Callable[[Trace], object]] = {
    "no such site": lambda t: t.append({"other": row()}, token="x"),
    "second site wrong": lambda t: t.append({"cross": row(), "self": row(n_heads=2)}, token="x"),
    "one site twice": lambda t: t.append({"cross": row(), 0: row()}, token="x"),
    "no mapping": lambda t: t.append(row(), token="x"),
    "heads": lambda t: t.append({"cross": row(n_heads=2)}, token="x"),
    "keys": lambda t: t.append({"cross": row(n_keys=4)}, token="x"),
    "two rows in a step": lambda t: t.append({"cross": np.full((3, 2, 5), 0.2)}, token="x"),
    "rank": lambda t: t.append({"cross": np.full((3, 5), 0.2)}, token="x"),
    "nothing": lambda t: t.append({"cross": None}, token="x"),
    "text": lambda t: t.append({"cross": [[["a"]]]}, token="x"),
    "token id": lambda t: t.append({"cross": row()}, token=7),
    "candidate no pair": lambda t: t.append({"cross": row()}, token="x", candidates=["die"]),
    "candidate of two letters": lambda t: t.append({"cross": row()}, token="x", candidates=[("a", 0.5), "ab"]),
    "candidate of three": lambda t: t.append({"cross": row()}, token="x", candidates=[("a", 0.5, 1)]),
    "candidate id": lambda t: t.append({"cross": row()}, token="x", candidates=[(7, 0.5)]),
    "candidate logit": lambda t: t.append({"cross": row()}, token="x", candidates=[("die", -3.2)]),
    "candidates no list": lambda t: t.append({"cross": row()}, token="x", candidates=5),
    "tolerance text": lambda t: t.append({"cross": row()}, token="x", tolerance="much"),
    "tolerance NaN": lambda t: t.append({"cross": row()}, token="x", tolerance=np.nan),
    "tolerance negative": lambda t: t.append({"cross": row()}, token="x", tolerance=-1),
    "tokens again": lambda t: t.set_tokens("source", ["a"]),
    "no tokens": lambda t: t.set_tokens("target", []),
    "strip without a name": lambda t: t.set_tokens("the source", ["a"]),
    "strip of a number": lambda t: t.set_tokens(0, ["a"]),
    "ids as tokens": lambda t: t.set_tokens("target", [1]),
    "site again": lambda t: t.add_site(Site("cross", "cross", 1, 3, "target", "source")),
    "site without heads": lambda t: t.add_site(Site("new", "cross", 1, 0, "target", "source")),
    "site of half a head": lambda t: t.add_site(Site("new", "cross", 1, 1.5, "target", "source")),
    "site below 0": lambda t: t.add_site(Site("new", "cross", -1, 3, "target", "source")),
    "site of no kind": lambda t: t.add_site(Site("new", "self", 1, 3, "target", "source")),
    "site of rows of no strip": lambda t: t.add_site(Site("new", "cross", 1, 3, "src", "source")),
    "site of no strip": lambda t: t.add_site(Site("new", "cross", 1, 3, "target", "src")),
    "site of half a strip": lambda t: t.add_site(Site("new", "cross", 1, 3, "context", "src")),
    "site of no store": lambda t: t.add_site(Site("new", "cross", 1, 3, "target", "source"), store="sparse"),
    "factors of other keys": lambda t: t.append({"cross": factors(n_keys=4)}, token="x"),
    "site without a name": lambda t: t.add_site(Site(7, "cross", 1, 3, "target", "source")),
    "other end": lambda t: t.finish("done"),
}
# how the sentence begins that refuses each of them
SAID = {
    lie: sentence
    for sentence, lies in {
        "site 'other' was asked for, the trace has 'cross', 'self'.": ("no such site",),
        "self: weights of shape (2, 1, 5) came, [head, query, key] with 3 "
        "heads and at least one query and key was expected.": ("second site wrong",),
        "weights: 'cross', 0 name one site twice.": ("one site twice",),
        "weights: ndarray came, a mapping from names of sites was expected.": ("no mapping",),
        "cross: weights of shape (2, 1, 5) came, [head, query, key] with 3 "
        "heads and at least one query and key was expected.": ("heads",),
        "cross: weights have 4 keys but strip 'source' has 5 tokens.": ("keys", "factors of other keys"),
        "cross: 2 queries came with step 1, one was expected.": ("two rows in a step",),
        "cross: weights of shape (3, 5) came, [head, query, key] with 3 heads "
        "and at least one query and key was expected.": ("rank",),
        "cross: None came, weights were expected. Did the model return them?": ("nothing",),
        "cross: numbers of dtype <U1 with shape (1, 1, 1) came, real numbers were expected.": ("text",),
        "step 1: token 0 is int, a string was expected.": ("token id",),
        "step 1, candidate 0: str came, a pair (token, probability) was expected.": ("candidate no pair",),
        "step 1, candidate 1: str came, a pair (token, probability) was expected.": ("candidate of two letters",),
        "step 1, candidate 0: tuple came, a pair (token, probability) was expected.": ("candidate of three",),
        "step 1, candidates: token 0 is int, a string was expected.": ("candidate id",),
        "step 1, candidate 0: -3.2 came, a probability between 0 and 1 was expected.": ("candidate logit",),
        "'int' object is not iterable": ("candidates no list",),
        "tolerance: 'much' came, a number of at least 0 was expected.": ("tolerance text",),
        "tolerance: nan came, a number of at least 0 was expected.": ("tolerance NaN",),
        "tolerance: -1 came, a number of at least 0 was expected.": ("tolerance negative",),
        "source: it has 5 tokens already. Make a new Trace.": ("tokens again",),
        "target: no tokens came, at least one was expected.": ("no tokens",),
        "strip 'the source' was named, a name such as 'source', 'target' or 'context' was expected.": (
            "strip without a name",
        ),
        "strip 0 was named, a name such as 'source', 'target' or 'context' was expected.": ("strip of a number",),
        "target: token 0 is int, a string was expected.": ("ids as tokens",),
        "site 'cross' exists already; names of sites are unique in a trace.": ("site again",),
        "site 'new' has layer 1 and 0 heads; layers start at 0, heads at 1": ("site without heads",),
        "'float' object cannot be interpreted as an integer": ("site of half a head",),
        "site 'new' has layer -1 and 3 heads; layers start at 0, heads at 1": ("site below 0",),
        "site 'new' has kind 'self', a name and one of encoder, decoder, cross were expected.": ("site of no kind",),
        "site 'new' counts strip 'src', one of 'source', 'target' was expected. Name others with set_tokens.": (
            "site of no strip",
            "site of rows of no strip",
            "site of half a strip",
        ),
        "site 'new': store 'sparse' came, one of dense, qk, reduced was expected.": ("site of no store",),
        "site 7 has kind 'cross', a name and one of encoder, decoder, cross were expected.": ("site without a name",),
        "status 'done' came, 'complete' or 'stopped' was expected.": ("other end",),
    }.items()
    for lie in lies
}


@pytest.mark.parametrize("name", BAD_APPENDS)
def test_a_call_that_raises_changes_nothing(live: Trace, name: str) -> None:
    live.add_site(Site("self", "decoder", 0, 3, "target", "target"))
    live.append({"cross": row(), "self": row(1, 1)}, token="die")
    before = state(live)
    with pytest.raises((TypeError, ValueError, KeyError)) as error:
        BAD_APPENDS[name](live)
    assert str(error.value.args[0]).startswith(SAID[name])
    assert state(live) == before


def test_a_trace_that_is_complete_takes_nothing(live: Trace) -> None:
    live.append({"cross": row()}, token="die")
    live.finish()
    with pytest.raises(ValueError, match="this trace is complete, nothing can be added"):
        live.append({"cross": row()}, token="Katze")


def test_a_target_that_was_given_limits_the_steps() -> None:
    trace = Trace(source=SOURCE, target=["die"])
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    trace.append({"cross": row()}, token="die")
    with pytest.raises(ValueError, match="given with 1 tokens"):
        trace.append({"cross": row()}, token="Katze")


def test_a_target_that_was_given_must_be_reached() -> None:
    trace = Trace(source=SOURCE, target=["die", "Katze"])
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    trace.append({"cross": row()}, token="die")
    with pytest.raises(ValueError, match="1 queries but strip 'target' has 2 tokens"):
        trace.finish()


def test_several_steps_at_once_are_the_same_as_one_by_one() -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(3), size=(1, 4)).astype(np.float32)  # [head, query, key]
    steps = [(token, [(token, 0.5), ("z", 0.25)]) for token in "abcd"]
    one, many = (Trace(source=list("xyz")) for _ in range(2))
    for trace in (one, many):
        trace.add_site(Site("attention", "cross", 0, 1, "target", "source"))
        trace.add_site(Site("other", "cross", 1, 1, "target", "source"))
    for query, (token, candidates) in enumerate(steps):
        one.append({"attention": weights[:, query : query + 1]}, token=token, candidates=candidates)
    many.extend({"attention": weights[:, :1]}, steps[:1])
    many.extend({"attention": weights[:, 1:]}, steps[1:])
    assert many.steps == one.steps
    assert many.tokens["target"] == one.tokens["target"]
    for name in ("attention", "other"):
        np.testing.assert_array_equal(many.weights(name), one.weights(name))
    assert [(flag.kind, flag.count) for flag in many.flags] == [(flag.kind, flag.count) for flag in one.flags]
    with pytest.raises(ValueError, match="1 queries came with steps 4 to 5, one for each was expected"):
        many.extend({"attention": weights[:, :1]}, steps[:2])
    assert len(many.steps) == 4


def test_a_step_without_any_site_is_refused() -> None:
    with pytest.raises(ValueError, match="step 0 has no weights"):
        Trace().append({}, token="die")


@pytest.mark.parametrize("title", [None, 7, b"title"])
def test_a_title_is_a_string(title: object) -> None:
    with pytest.raises(TypeError, match=rf"^title: {type(title).__name__} came, a string was expected\.$"):
        Trace(title=title)


def test_counts_of_numpy_become_plain_numbers() -> None:
    trace = Trace()
    trace.add_site(Site("own", "encoder", np.int64(0), np.int64(3), "source", "source"))
    (site,) = trace.sites
    assert (type(site.layer), type(site.n_heads)) == (int, int)


def test_rows_that_come_as_one_matrix_are_steps_too(weights: np.ndarray) -> None:
    trace = Trace(source=SOURCE, target=("die", "Katze", "sass", "da"))
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    trace.append({"cross": weights[0]})
    trace.finish()
    assert [step.token for step in trace.steps] == ["die", "Katze", "sass", "da"]


@pytest.mark.parametrize("rows", [np.zeros((1, 1, 9)), np.zeros((2, 1, 2)), np.zeros((1, 2, 2)), "text", None])
def test_an_error_that_names_a_site_does_nothing_to_a_terminal(rows: object) -> None:
    trace, name = Trace(source=["a", "b"]), "\x1b[2Jcross\x9b\u202e"
    trace.add_site(Site(name, "cross", 0, 1, "target", "source"))
    with pytest.raises((TypeError, ValueError), match="cross") as told:
        trace.append({name: rows}, token="x")
    assert str(told.value).isprintable()
    assert not name.isprintable()
