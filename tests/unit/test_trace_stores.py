"""A trace takes queries and keys as it takes weights, checks them as well, and says what it keeps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from oracle import cut, random_factors, softmaxed

from attnwidget import Site, Trace
from attnwidget.stores import Factors, Visible

SOURCE = ("the", " cat", "sat", "on", "it")


def factors(n_queries: int = 1, n_keys: int = 5, **change: object) -> Factors:
    rng = np.random.default_rng(n_keys)
    queries, keys = (rng.normal(size=(3, n, 8)).astype(np.float32) for n in (n_queries, n_keys))
    made = {"queries": queries, "keys": keys, "visible": Visible.all(n_queries, n_keys), "scale": 0.5}
    return Factors(**{**made, **change})


@pytest.fixture
def virtual() -> Trace:
    trace = Trace(source=SOURCE, title="a title")
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"), store="qk")
    return trace


@pytest.fixture
def reduced() -> Trace:
    trace = Trace()
    trace.add_site(Site("own", "encoder", 0, 2, "source", "source"), store="reduced")
    return trace


def test_factors_give_the_weights_of_a_softmax(virtual: Trace) -> None:
    virtual.append({"cross": factors(4)})
    assert virtual.weights("cross") == pytest.approx(softmaxed(factors(4)), abs=1e-6)
    assert virtual.weights(0, "mean") == pytest.approx(softmaxed(factors(4)).mean(0), abs=1e-6)


def test_steps_with_factors_are_rows(virtual: Trace) -> None:
    rows = factors(3)
    for query, token in enumerate(("die", "Katze", "sass")):
        virtual.append({"cross": cut(rows, slice(query, query + 1), slice(0, 5))}, token=token)
    virtual.finish()
    assert virtual.weights(0) == pytest.approx(softmaxed(rows), abs=1e-6)
    assert virtual.tokens["target"].texts == ("die", "Katze", "sass")


def test_steps_without_factors_are_missing(virtual: Trace) -> None:
    virtual.append({}, token="die")
    virtual.append({"cross": factors()}, token="Katze")
    assert np.isnan(virtual.weights(0)).all((0, 2)).tolist() == [True, False]
    assert [(flag.kind, flag.where) for flag in virtual.flags] == [("missing", ((-1, 0, -1),))]


def test_strength_is_the_sum_of_the_columns(virtual: Trace) -> None:
    virtual.append({"cross": factors(4)})
    weights = softmaxed(factors(4))
    assert virtual.strength() == pytest.approx(weights.sum(1), abs=1e-5)
    assert virtual.strength(0, 2) == pytest.approx(weights[2].sum(0), abs=1e-5)
    assert virtual.strength(0, "mean") == pytest.approx(weights.mean(0).sum(0), abs=1e-5)


BAD: dict[str, Callable[[Trace], object]] = {
    "weights for factors": lambda t: t.append({"cross": np.full((3, 1, 5), 0.2)}, token="x"),
    "nothing": lambda t: t.append({"cross": None}, token="x"),
    "heads": lambda t: t.append({"cross": factors(queries=np.ones((6, 1, 8), np.float32))}, token="x"),
    "keys": lambda t: t.append({"cross": factors(1, 4)}, token="x"),
    "two rows in a step": lambda t: t.append({"cross": factors(2)}, token="x"),
    "scale": lambda t: t.append({"cross": factors(scale=0.25)}, token="x"),
    "second site wrong": lambda t: t.append({"cross": factors(), "other": factors()}, token="x"),
}


@pytest.mark.parametrize("call", BAD.values(), ids=BAD.keys())
def test_a_call_that_raises_changes_nothing(virtual: Trace, call: Callable[[Trace], object]) -> None:
    virtual.append({"cross": factors()}, token="die")
    before = virtual.cursor, virtual.tokens, virtual.steps, virtual.weights().tobytes()
    with pytest.raises((TypeError, ValueError, KeyError), match=r"cross|other"):
        call(virtual)
    assert (virtual.cursor, virtual.tokens, virtual.steps, virtual.weights().tobytes()) == before


def test_weights_for_factors_say_what_to_do(virtual: Trace) -> None:
    with pytest.raises(TypeError, match=r"ndarray came, Factors were expected.*add_site\(site, store=\.\.\.\)"):
        virtual.append({"cross": np.full((3, 1, 5), 0.2)})


# -- flags


def test_finite_factors_have_no_flags_and_no_weights_are_computed(virtual: Trace) -> None:
    virtual.append({"cross": factors(4, sinks=np.zeros(3, np.float32))})
    assert virtual.flags == ()
    assert not virtual.ledger.find(0).store._sums.known.any()


def test_rows_that_see_nothing_are_flagged(virtual: Trace) -> None:
    virtual.append({"cross": factors(2)})
    virtual.append({"cross": factors(2, visible=Visible(np.array([0, 3]), np.array([5, 3])))})
    (flag,) = virtual.flags
    assert (flag.kind, flag.count, flag.where) == ("zero_row", 3, ((0, 3, -1), (1, 3, -1), (2, 3, -1)))


def test_factors_that_are_no_numbers_are_flagged(virtual: Trace) -> None:
    queries = np.ones((3, 2, 8), np.float32)
    queries[1, 1, 0] = np.nan
    virtual.append({"cross": factors(2)})
    virtual.append({"cross": factors(2, queries=queries, sinks=None)})
    assert [(flag.kind, flag.count, flag.where[0]) for flag in virtual.flags] == [("nan", 5, (1, 3, 0))]


# -- reduced


def test_a_reduced_site_says_what_it_gave_up(reduced: Trace) -> None:
    reduced.append({"own": np.full((2, 20, 20), 1 / 20)})
    assert [str(flag) for flag in reduced.flags] == [
        "40 rows keep their 16 largest weights only; the others are shown as 0"
    ]


def test_a_reduced_site_that_gave_up_nothing_says_nothing(reduced: Trace) -> None:
    reduced.append({"own": np.full((2, 16, 16), 1 / 16)})
    assert reduced.flags == ()


def test_strength_of_a_reduced_site_is_exact(reduced: Trace) -> None:
    weights = softmaxed(
        random_factors(
            np.random.default_rng(2),
            50,
            50,
            queries=np.ones((2, 50, 4), np.float32),
            keys=np.ones((1, 50, 4), np.float32),
            bias=None,
            sinks=None,
        )
    )
    reduced.append({"own": weights})
    assert reduced.strength() == pytest.approx(weights.sum(1), abs=1e-5)


def test_a_reduced_site_takes_no_factors(reduced: Trace) -> None:
    with pytest.raises(TypeError, match="Factors came, an array of weights was expected"):
        reduced.append({"own": factors()})


# -- what a trace says of itself


def test_a_site_says_how_it_is_kept(virtual: Trace) -> None:
    virtual.add_site(Site("own", "decoder", 0, 3, "target", "target", store="reduced"))
    assert [site.store for site in virtual.sites] == ["qk", "dense"]


def test_a_trace_says_what_it_is(virtual: Trace) -> None:
    virtual.append({"cross": factors(2)})
    virtual.finish()
    assert repr(virtual) == "Trace 'a title': complete, 5 source and 2 target tokens, 1 site, 2 steps, qk, 0.0 MB"


def test_an_empty_trace_says_so() -> None:
    assert repr(Trace()) == "Trace: empty, 0 source and 0 target tokens, 0 sites, 0 steps, 0.0 MB"


def test_a_trace_knows_its_size() -> None:
    trace = Trace.from_weights(np.full((2, 3, 100, 100), 0.01), source=["x"] * 100)
    assert trace.n_bytes == 2 * 3 * 100 * 100 * 4


def test_an_overview_is_the_maximum_of_squares(virtual: Trace) -> None:
    virtual.append({"cross": factors(4)})
    cells, side = virtual.overview(0, 1, size=2)
    weights = virtual.weights(0, 1)
    assert (side, cells.shape) == (4, (1, 2))
    assert cells[0].tolist() == [weights[:, :4].max(), weights[:, 4].max()]
