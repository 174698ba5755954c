"""Heads of which it is known what they attend to are found among random ones; the numbers are right to the digit."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from attnwidget import Site, Trace, heads
from attnwidget.heads import STATISTICS

WORDS = [*"abcdefghij"]
N_RANDOM = 24
Plan = Callable[[int], list[int]]  # the keys that a query shares its weight among


def random_rows(rng: np.random.Generator, n_heads: int, seen: np.ndarray, sharpness: float = 2.0) -> np.ndarray:
    """Return weights of random heads over the keys that each query sees."""
    scores = np.where(seen, rng.normal(0, sharpness, (n_heads, *seen.shape)), -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def planted(rng: np.random.Generator, seen: np.ndarray, plans: Mapping[str, Plan]) -> tuple[np.ndarray, dict[str, int]]:
    """Return random heads with one of each plan among them, and where it is."""
    n_heads = N_RANDOM + len(plans)
    weights = random_rows(rng, n_heads, seen)
    places = dict(zip(plans, rng.permutation(n_heads)[: len(plans)].tolist(), strict=True))
    for name, plan in plans.items():
        rows = np.zeros(seen.shape)
        for query in range(len(seen)):
            keys = [key for key in plan(query) if seen[query, key]] or [0]
            rows[query, keys] = 1 / len(keys)
        weights[places[name]] = 0.9 * rows + 0.1 * weights[places[name]]
    return weights, places


def after_repeated(texts: list[str], own: int) -> list[int]:
    return [key for key in range(1, own) if texts[key - 1] == texts[own]]


def plans_of_self_attention(positions: list[int], texts: list[str], seen: np.ndarray) -> dict[str, Plan]:
    def farthest(query: int) -> list[int]:
        keys = np.flatnonzero(seen[query])
        return [int(keys[np.abs(keys - positions[query]).argmax()])]

    return {
        "entropy": lambda query: np.flatnonzero(seen[query]).tolist(),
        "distance": farthest,
        "previous": lambda query: [max(positions[query] - 1, 0)],
        "diagonal": lambda query: [positions[query]],
        "induction": lambda query: after_repeated(texts, positions[query]) or [positions[query]],
    }


def found(trace: Trace, statistic: str) -> int:
    return trace.heads(sort=statistic)[0].head


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [12, 31, 64])
@pytest.mark.parametrize("causal", [True, False])
def test_planted_heads_of_self_attention_rank_first(seed: int, size: int, causal: bool) -> None:
    rng = np.random.default_rng([seed, size, causal])
    seen = np.tril(np.ones((size, size), bool)) if causal else np.ones((size, size), bool)
    texts = [WORDS[i] for i in rng.integers(0, len(WORDS), size)]
    plans = plans_of_self_attention(list(range(size)), texts, seen)
    weights, places = planted(rng, seen, plans)
    trace = Trace.from_weights(weights, source=texts)
    assert {name: found(trace, name) for name in plans} == places


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("causal", [True, False])
def test_a_planted_sink_ranks_first(seed: int, causal: bool) -> None:
    rng = np.random.default_rng([seed, causal])
    seen = np.tril(np.ones((20, 20), bool)) if causal else np.ones((20, 20), bool)
    weights, places = planted(rng, seen, {"first": lambda _: [0]})
    assert found(Trace.from_weights(weights, source=WORDS * 2), "first") == places["first"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(9, 9), (7, 20), (20, 7), (13, 14)])
def test_planted_heads_of_cross_attention_rank_first(seed: int, shape: tuple[int, int]) -> None:
    n_queries, n_keys = shape
    rng = np.random.default_rng([seed, *shape])
    plans: dict[str, Plan] = {
        "entropy": lambda _: list(range(n_keys)),
        "first": lambda _: [0],
        "diagonal": lambda query: [round(query * (n_keys - 1) / (n_queries - 1))],
    }
    weights, places = planted(rng, np.ones(shape, bool), plans)
    trace = Trace.from_weights(weights, source=["x"] * n_keys, target=["y"] * n_queries)
    assert {name: found(trace, name) for name in plans} == places


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_prompt", [1, 2, 9])
def test_planted_heads_of_a_decoder_behind_a_prompt_rank_first(seed: int, n_prompt: int) -> None:
    rng = np.random.default_rng([seed, n_prompt])
    n_steps = 24
    texts = [WORDS[i] for i in rng.integers(0, len(WORDS), n_prompt + n_steps)]
    positions = [n_prompt + step - 1 for step in range(n_steps)]
    seen = np.arange(n_prompt + n_steps - 1) <= np.array(positions)[:, None]
    plans = plans_of_self_attention(positions, texts, seen) | {"first": lambda _: [0]}
    del plans["distance"]  # which is the same head as the one that looks at the first token
    weights, places = planted(rng, seen, plans)
    trace = Trace()
    trace.set_tokens("context", texts[:n_prompt])
    trace.add_site(Site("decoder", "decoder", 0, len(weights), "target", "context"))
    for step, own in enumerate(positions):
        trace.append({"decoder": weights[:, step : step + 1, : own + 1]}, token=texts[n_prompt + step])
    assert {name: found(trace, name) for name in plans} == places
    assert found(trace, "distance") == places["first"]


def test_the_numbers_of_a_small_head() -> None:
    weights = np.array([[[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0.75, 0.25, 0], [0, 0, 0.5, 0.5]]], np.float32)
    told = {name: values[0] for name, values in heads.statistics(weights, positions=range(4), texts="abca").items()}
    assert told == pytest.approx(
        {
            "entropy": (0 + 1 + 0.811278 + 1) / 4,
            "distance": (0 + 0.5 + 0.75 + 0.5) / 4,
            "previous": (0.5 + 0.75 + 0.5) / 3,
            "first": 0.5 / 3,
            "diagonal": (1 + 0.5 + 0.25 + 0.5) / 4,
            "induction": 0,  # only the last "a" repeats, and "b" came after the first
        },
        abs=1e-6,
    )


def test_induction_is_the_weight_on_what_came_after_the_same_token() -> None:
    weights = np.zeros((2, 5, 5), np.float32)
    weights[0, :, 1] = 1  # after the first "a"
    weights[1, :, 4] = 1
    told = heads.statistics(weights, positions=range(5), texts="abcda")["induction"]
    assert told.tolist() == [1, 0]


def test_what_does_not_apply_has_no_number() -> None:
    cross = heads.statistics(np.full((2, 3, 4), 0.25, np.float32))
    assert [name for name in STATISTICS if np.isnan(cross[name]).all()] == ["distance", "previous", "induction"]
    alone = heads.statistics(np.ones((2, 1, 1), np.float32), positions=[0], texts=["a"])
    assert [name for name in STATISTICS if np.isnan(alone[name]).all()] == ["previous", "first", "induction"]


@pytest.mark.parametrize(("shape", "near"), [((2, 4), [0, 1]), ((4, 2), [0]), ((3, 5), [0, 1]), ((1, 3), [0, 1, 2])])
def test_the_diagonal_of_cross_attention_is_what_a_line_runs_through(shape: tuple[int, int], near: list[int]) -> None:
    for key in range(shape[1]):
        weights = np.zeros((1, *shape), np.float32)
        weights[0, 0, key] = 1  # the other rows are empty and do not count
        assert heads.statistics(weights)["diagonal"].tolist() == [float(key in near)]


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 0.0])
def test_rows_that_are_no_weights_do_not_count(odd: float) -> None:
    rng = np.random.default_rng(3)
    weights = random_rows(rng, 3, np.ones((6, 6), bool))
    broken = np.insert(weights, 6, odd, axis=1)
    before = heads.statistics(weights, positions=range(6), texts="abcabc")
    after = heads.statistics(broken, positions=[*range(6), 5], texts="abcabc")
    for name in STATISTICS:
        assert after[name] == pytest.approx(before[name], rel=1e-6), name


def test_one_odd_head_leaves_the_others_alone() -> None:
    weights = random_rows(np.random.default_rng(3), 3, np.ones((5, 5), bool))
    broken = weights.copy()
    broken[1] = np.nan
    before, after = (heads.statistics(each, positions=range(5), texts="aabab") for each in (weights, broken))
    for name in STATISTICS:
        assert np.isnan(after[name][1])
        assert np.array_equal(after[name][[0, 2]], before[name][[0, 2]])


def test_missing_steps_do_not_count() -> None:
    trace = Trace(source=["a", "b"])
    trace.add_site(Site("cross", "cross", 0, 1, "target", "source"))
    trace.append({"cross": np.array([[[1.0, 0.0]]])}, token="x")
    trace.append({}, token="y")
    trace.finish()
    assert trace.heads()[0].first == 1


@pytest.mark.filterwarnings("error")
@settings(deadline=None, max_examples=200)
@given(
    weights=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=6),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
    ),
    cross=st.booleans(),
    texts=st.text("ab", max_size=6),
)
def test_no_array_makes_it_fail_or_say_infinity(weights: np.ndarray, cross: bool, texts: str) -> None:
    before = weights.copy()
    positions = None if cross else range(weights.shape[1])
    told = heads.statistics(weights, positions=positions, texts=texts)
    assert np.array_equal(weights, before, equal_nan=True)
    for name in STATISTICS:
        assert told[name].shape == (len(weights),)
        assert not np.isinf(told[name]).any()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), n_queries=st.integers(1, 9), n_keys=st.integers(1, 9), cut=st.integers(1, 8))
def test_rows_may_come_in_pieces(seed: int, n_queries: int, n_keys: int, cut: int) -> None:
    weights = random_rows(np.random.default_rng(seed), 3, np.ones((n_queries, n_keys), bool))
    positions = np.arange(n_queries)
    tally = heads.Tally(3, (n_queries, n_keys), positions, "abab")
    for first in range(0, n_queries, cut):
        tally.add(np.arange(first, min(first + cut, n_queries)), weights[:, first : first + cut])
    whole = heads.statistics(weights, positions=positions, texts="abab")
    for name, values in tally.means().items():
        assert values == pytest.approx(whole[name], rel=1e-5, nan_ok=True), name


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), n_queries=st.integers(1, 9), n_keys=st.integers(1, 9))
def test_shares_are_shares(seed: int, n_queries: int, n_keys: int) -> None:
    weights = random_rows(np.random.default_rng(seed), 3, np.ones((n_queries, n_keys), bool))
    for positions in (None, np.arange(n_queries)):
        told = heads.statistics(weights, positions=positions, texts="abab")
        for name in ("previous", "first", "diagonal", "induction"):
            assert not ((told[name] < 0) | (told[name] > 1 + 1e-5)).any(), name
        assert (told["entropy"] <= np.log2(n_keys) + 1e-4).all()


def test_heads_of_all_sites_are_one_table(complete: Trace) -> None:
    table = complete.heads()
    assert [(head.site, head.head) for head in table] == [(s.name, h) for s in complete.sites for h in range(3)]
    lines = repr(table).splitlines()
    assert len(lines) == 7
    assert lines[0].split() == ["site", "head", *STATISTICS]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert repr(complete.heads(1)) == repr(heads.Heads(table[3:]))


def test_heads_that_have_no_number_come_last() -> None:
    trace = Trace(source=["a", "b", "c"], target=["x", "y"])
    trace.add_site(Site("cross", "cross", 0, 1, "target", "source"))
    trace.add_site(Site("encoder", "encoder", 0, 1, "source", "source"))
    trace.extend({"cross": np.full((1, 2, 3), 1 / 3), "encoder": np.eye(3)[None]}, [("x", ()), ("y", ())])
    assert [head.site for head in trace.heads(sort="distance")] == ["encoder", "cross"]


def test_another_statistic_is_refused(complete: Trace) -> None:
    with pytest.raises(ValueError, match="'loudness' came, one of 'entropy', 'distance'"):
        complete.heads(sort="loudness")


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\) came"):
        heads.statistics(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="positions: 2 came, 3 were expected"):
        heads.statistics(np.zeros((1, 3, 3), np.float32), positions=[0, 1])


def test_a_huge_weight_makes_no_infinite_number() -> None:
    told = heads.statistics(np.array([[[3e38, 0], [0.5, 0.5]]], np.float32), positions=[0, 1])
    assert told["entropy"].tolist() == [1]
