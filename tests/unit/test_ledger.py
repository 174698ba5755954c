"""What enters a trace is held against what is there: strips, sites, steps, how far rows may miss 1."""

from __future__ import annotations

import re

import numpy as np
import pytest

from attnwidget import Site, Tokens, Trace
from attnwidget.architecture import Architecture, Node
from attnwidget.ledger import Cursor
from attnwidget.outline import Flag
from attnwidget.stores import DenseStore

SOURCE = ("the", " cat", "sat", "on", "it")


def row(value: float = 0.2, n_keys: int = 5, n_heads: int = 3) -> np.ndarray:
    return np.full((n_heads, 1, n_keys), value, np.float32)


def two_sites(first: str = "cross", second: str = "late") -> Trace:
    trace = Trace(source=SOURCE)
    for name in (first, second):
        trace.add_site(Site(name, "cross", 0, 3, "target", "source"))
    return trace


# -- what is asked of a trace


@pytest.mark.parametrize(
    ("site", "expected"), [(0, "cross"), (1, "late"), (-1, "late"), (-2, "cross"), ("late", "late")]
)
def test_a_site_is_found_by_name_and_by_place(site: str | int, expected: str) -> None:
    trace = two_sites()
    assert trace.ledger.find(site).site.name == expected
    assert trace.ledger.find(trace.sites[0]).site.name == "cross"


@pytest.mark.parametrize("site", [2, -3])
def test_a_site_at_no_place_is_refused(site: int) -> None:
    with pytest.raises(KeyError) as error:
        two_sites().weights(site)
    assert error.value.args == (f"site {site} was asked for, the trace has 2 sites.",)


def test_sites_that_are_there_are_named() -> None:
    for trace, names in ((Trace(), "none"), (two_sites(), "'cross', 'late'")):
        with pytest.raises(KeyError) as error:
            trace.weights("own")
        assert error.value.args == (f"site 'own' was asked for, the trace has {names}.",)


def test_a_cursor_says_how_far_a_trace_had_grown(live: Trace) -> None:
    assert live.cursor == Cursor(0, {"source": 5, "target": 0}, {"cross": 0}, {"cross": 0}, "empty", 1)
    live.append({"cross": row()}, token="die")
    live.append({"cross": row()}, token="Katze")
    live.add_site(Site("own", "decoder", 0, 1, "target", "target"))
    counts = {"source": 5, "target": 2}, {"cross": 2, "own": 0}, {"cross": 5, "own": 0}
    assert live.cursor == Cursor(2, *counts, "recording", 2)
    live.set_architecture(Architecture())
    live.tell_asks("cross", "after")
    live.finish()
    assert live.cursor == Cursor(2, *counts, "complete", 4)


# -- how rows are held against strips


@pytest.mark.parametrize(
    ("n_keys", "more"),
    [
        (3, " Does it attend in blocks of 3? Name the tokens of one block."),
        (2, " Does it attend in blocks of 2? Name the tokens of one block."),
        (4, ""),
        (1, ""),
        (12, ""),
    ],
)
def test_blocks_are_suspected_where_tokens_are_a_multiple_of_rows(n_keys: int, more: str) -> None:
    trace = Trace(source=list("abcdef"))
    trace.add_site(Site("own", "encoder", 0, 1, "source", "source"))
    said = f"own: weights have {n_keys} keys but strip 'source' has 6 tokens. Was padding or a start token left out, "
    said += "is the matrix transposed, or are source and target swapped?" + more
    with pytest.raises(ValueError, match="^" + re.escape(said) + "$"):
        trace.append({"own": np.ones((1, 1, n_keys))})


def test_patches_that_do_not_fit_are_named_with_their_grid() -> None:
    trace = Trace(source=Tokens.image(np.zeros((4, 6)), (2, 3), before=["[CLS]"]))
    trace.add_site(Site("own", "encoder", 0, 1, "source", "source"))
    said = "own: weights have 6 keys but strip 'source' has 7 tokens, an image of 2 x 3 patches behind 1 others. "
    said += "Give the grid that the model cuts its input into, and name tokens that stand beside it with before=."
    with pytest.raises(ValueError, match="^" + re.escape(said) + "$"):
        trace.append({"own": np.ones((1, 1, 6))})


def test_a_site_that_has_all_its_rows_is_not_one_of_a_block() -> None:
    trace = Trace(source=list("ab"), target=list("xyz"))
    trace.add_site(Site("cross", "cross", 0, 1, "target", "source"))
    trace.append({"cross": np.full((1, 3, 2), 0.5)})
    with pytest.raises(ValueError, match=r"4 queries but strip 'target' has 3 tokens\. .* swapped\?$"):
        trace.append({"cross": np.full((1, 1, 2), 0.5)})


def test_queries_of_a_known_strip_may_come_in_parts_but_not_more() -> None:
    trace = Trace(source=list("abcdef"))
    trace.add_site(Site("own", "encoder", 0, 1, "source", "source"))
    for _ in range(3):
        trace.append({"own": np.full((1, 2, 6), 1 / 6)})
    with pytest.raises(ValueError, match=r"^own: weights have 7 queries but strip 'source' has 6 tokens\."):
        trace.append({"own": np.full((1, 1, 6), 1 / 6)})
    trace.finish()
    assert trace.sites[0].n_queries == 6


def test_a_site_that_never_ran_does_not_keep_a_trace_from_its_end() -> None:
    trace = Trace(source=list("ab"), target=list("xyz"))
    trace.add_site(Site("cross", "cross", 0, 1, "target", "source"))
    trace.finish()
    assert trace.status == "complete"


def test_a_stopped_trace_need_not_reach_its_target() -> None:
    trace = Trace(source=list("ab"), target=list("xyz"))
    trace.add_site(Site("cross", "cross", 0, 1, "target", "source"))
    trace.append({"cross": np.full((1, 1, 2), 0.5)}, token="x")
    trace.finish("stopped")
    assert (trace.status, len(trace.steps), trace.tokens["target"].texts) == ("stopped", 1, ("x", "y", "z"))
    with pytest.raises(
        ValueError, match=r"^this trace is stopped, nothing can be added\. Make a new Trace for another"
    ):
        trace.append({"cross": np.full((1, 1, 2), 0.5)}, token="y")


def test_rows_that_come_together_are_steps_only_where_a_decoder_asks() -> None:
    trace = Trace(source=SOURCE, target=["x", "y"])
    trace.add_site(Site("own", "encoder", 0, 3, "source", "source"))
    trace.append({"own": np.full((3, 5, 5), 0.2)})
    trace.finish()
    assert trace.steps == ()


# -- what a file holds


def dense(n_queries: int, n_keys: int) -> DenseStore:
    store = DenseStore(1)
    store.append(np.full((1, n_queries, n_keys), 1 / n_keys, np.float32))
    return store


@pytest.mark.parametrize(
    ("shape", "said"),
    [((4, 2), "weights have 4 queries but strip 'target'"), ((3, 3), "weights have 3 keys but strip")],
)
def test_weights_of_a_file_have_no_more_rows_and_columns_than_tokens(shape: tuple[int, int], said: str) -> None:
    trace, site = Trace(), Site("cross", "cross", 0, 1, "target", "source")
    trace.ledger.strips.restore({"source": list("ab"), "target": list("xyz")}, [], None)
    with pytest.raises(ValueError, match=f"^cross: {said}"):
        trace.ledger.restore(site, dense(*shape), [])


@pytest.mark.parametrize("shape", [(3, 2), (2, 1), (1, 2)])
def test_weights_of_a_file_may_be_of_fewer(shape: tuple[int, int]) -> None:
    trace, site = Trace(), Site("cross", "cross", 0, 1, "target", "source")
    trace.ledger.strips.restore({"source": list("ab"), "target": list("xyz")}, [], None)
    trace.ledger.restore(site, dense(*shape), [Flag("nan", 2)])
    assert trace.weights("cross").shape == (1, *shape)
    assert trace.flags == (Flag("nan", 2),) == trace.sites[0].flags


@pytest.mark.parametrize("step", [(7, []), ("x", [(7, 0.5)]), ("x", [("a", 0.5), (None, 0.5)])])
def test_steps_of_a_file_are_of_strings(step: tuple[str, list[tuple[str, float]]]) -> None:
    with pytest.raises(TypeError, match=r"^step 1: a token that is no string came\.$"):
        Trace().ledger.restore_steps([("a", []), step])


@pytest.mark.parametrize("probability", [1.5, -0.5, float("nan")])
def test_probabilities_of_a_file_are_some(probability: float) -> None:
    with pytest.raises(ValueError, match=rf"^step 0: {probability:g} came, a probability between 0 and 1 was expected"):
        Trace().ledger.restore_steps([("x", [("x", 0.5), ("a", probability)])])


def test_steps_of_a_file_are_numbered_and_may_come_in_parts() -> None:
    trace = Trace(target=list("abc"))
    trace.ledger.restore_steps([("a", [("a", 0.5)])])
    trace.ledger.restore_steps([("b", [("b", 1)]), ("c", [("c", 1.0), ("d", 0.0)])])
    found = [(step.index, step.token, [(it.token, it.probability) for it in step.candidates]) for step in trace.steps]
    assert found == [(0, "a", [("a", 0.5)]), (1, "b", [("b", 1.0)]), (2, "c", [("c", 1.0), ("d", 0.0)])]
    assert type(trace.steps[1].candidates[0].probability) is float
    with pytest.raises(ValueError, match=r"^4 steps came for a target of 3 tokens\.$"):
        trace.ledger.restore_steps([("d", [])])


# -- weights of another library


def test_weights_come_with_their_tokens_and_a_title() -> None:
    trace = Trace.from_weights([[0.5, 0.5], [1, 0], [0, 1]], source=list("ab"), target=list("xyz"), title="t")
    assert (trace.title, trace.tokens["source"].texts, trace.tokens["target"].texts) == ("t", ("a", "b"), tuple("xyz"))
    assert (trace.status, [step.token for step in trace.steps]) == ("complete", list("xyz"))
    assert Trace.from_weights([[1.0]], source=["a"]).title == ""


def test_half_precision_of_another_library_is_given_room() -> None:
    weights = np.array([[0.5, 0.51]])
    assert [flag.kind for flag in Trace.from_weights(weights, source=list("ab"), target=["x"]).flags] == ["row_sum"]
    assert Trace.from_weights(weights.astype(np.float16), source=list("ab"), target=["x"]).flags == ()


# -- how far rows may miss 1


@pytest.mark.parametrize(
    ("of_site", "of_rows", "is_flagged"),
    [
        (None, None, True),
        (0.2, None, False),
        (None, 0.2, False),
        (0.2, 1e-3, True),
        (1e-3, 0.2, False),
        (0, 0.2, False),
    ],
)
def test_the_tolerance_of_rows_goes_before_that_of_their_site(
    of_site: float | None, of_rows: float | None, is_flagged: bool
) -> None:
    trace = Trace(source=SOURCE)
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"), tolerance=of_site)
    trace.append({"cross": row(0.22)}, token="x", tolerance=of_rows)
    assert bool(trace.flags) == is_flagged
    many = Trace(source=SOURCE)
    many.add_site(Site("cross", "cross", 0, 3, "target", "source"), tolerance=of_site)
    many.extend({"cross": row(0.22)}, [("x", ())], tolerance=of_rows)
    assert many.flags == trace.flags


def test_rows_may_have_to_be_exact() -> None:
    trace = Trace(source=["a", "b"])
    trace.add_site(Site("cross", "cross", 0, 1, "target", "source"))
    trace.append({"cross": np.array([[[0.5, 0.5]]])}, token="x", tolerance=0)
    assert trace.flags == ()
    trace.append({"cross": np.array([[[0.5, 0.50001]]])}, token="y", tolerance=0)
    assert [flag.kind for flag in trace.flags] == ["row_sum"]


# -- steps in which a site did not run


def test_steps_that_a_site_missed_are_there_as_gaps() -> None:
    trace = two_sites()
    trace.append({"cross": row()}, token="a")
    trace.append({}, token="b")
    trace.append({"late": row(), "cross": row()}, token="c")
    missing = {name: np.isnan(trace.weights(name, 0)).all(-1).tolist() for name in ("cross", "late")}
    assert missing == {"cross": [False, True, False], "late": [True, True, False]}
    flags = {site.name: [(flag.kind, flag.count, flag.where) for flag in site.flags] for site in trace.sites}
    assert flags["cross"] == [("missing", 1, ((-1, 1, -1),))]
    assert flags["late"] == [("missing", 2, ((-1, 0, -1), (-1, 1, -1)))]
    assert trace.weights("late").shape == (3, 3, 5)


def test_an_encoder_misses_no_steps() -> None:
    trace = Trace(source=SOURCE)
    trace.add_site(Site("own", "encoder", 0, 3, "source", "source"))
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    trace.append({"own": np.full((3, 5, 5), 0.2)})
    trace.append({"cross": row()}, token="a")
    assert [(site.n_queries, site.flags) for site in trace.sites] == [(5, ()), (1, ())]


# -- what a decoder has read


def of_context(n_keys: int) -> np.ndarray:
    return np.full((1, 1, n_keys), 1 / n_keys)


def test_the_first_rows_say_how_much_was_read_before() -> None:
    trace = Trace()
    trace.add_site(Site("own", "decoder", 0, 1, "target", "context"))
    trace.append({"own": of_context(3)}, token="a")
    trace.append({"own": of_context(4)}, token="b")
    assert trace.tokens["context"].texts == ("1", "2", "3", "a")
    assert [step.position for step in trace.steps] == [2, 3]


def test_a_prompt_that_was_given_is_continued_by_the_output() -> None:
    trace = Trace()
    trace.set_tokens("context", ["p", "q"])
    trace.add_site(Site("own", "decoder", 0, 1, "target", "context"))
    trace.append({"own": of_context(2)}, token="a")
    trace.append({}, token="b")
    trace.append({"own": of_context(4)}, token="c")
    assert trace.tokens["context"].texts == ("p", "q", "a", "b")
    assert [step.position for step in trace.steps] == [1, 2, 3]
    assert trace.weights("own").shape == (1, 3, 4)


def test_rows_of_a_later_step_say_how_much_was_read_before_the_first() -> None:
    trace = Trace(source=SOURCE)
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    trace.add_site(Site("own", "decoder", 0, 1, "target", "context"))
    for token in "ab":
        trace.append({"cross": row()}, token=token)
    trace.append({"own": of_context(5)}, token="c")
    assert trace.ledger.strips.n_read == 3
    assert trace.tokens["context"].texts == ("1", "2", "3", "a", "b")


def test_a_site_that_comes_late_says_how_much_was_read_before_the_first_step() -> None:
    trace = Trace(source=SOURCE)
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    for token in "ab":
        trace.append({"cross": row()}, token=token)
    trace.add_site(Site("own", "decoder", 0, 1, "target", "context"))
    trace.append({"own": of_context(5)}, token="c")
    assert trace.ledger.strips.n_read == 3
    assert trace.weights("own").shape == (1, 3, 5)


def test_a_context_that_reads_itself_is_read_whole() -> None:
    trace = Trace()
    trace.add_site(Site("own", "decoder", 0, 1, "context", "context"))
    trace.append({"own": np.full((1, 2, 4), 0.25)})
    assert trace.ledger.strips.n_read == 4
    assert trace.tokens["context"].texts == ("1", "2", "3", "4")


# -- several steps at once


def test_steps_that_come_together_have_a_row_each() -> None:
    trace = Trace(source=["a", "b"])
    trace.add_site(Site("cross", "cross", 0, 1, "target", "source"))
    with pytest.raises(ValueError, match=r"^cross: 2 queries came with steps 0 to 2, one for each was expected\.$"):
        trace.extend({"cross": np.full((1, 2, 2), 0.5)}, [("x", ()), ("y", ()), ("z", ())])
    trace.extend({"cross": np.full((1, 2, 2), 0.5)}, [("x", ()), ("y", [("y", 0.5)])])
    assert [(step.index, step.token, len(step.candidates)) for step in trace.steps] == [(0, "x", 0), (1, "y", 1)]


# -- what cannot be said


def test_a_diagram_of_something_else_is_refused(live: Trace) -> None:
    with pytest.raises(TypeError, match=r"^architecture: dict came, an Architecture or a Module was expected\.$"):
        live.set_architecture({})


@pytest.mark.parametrize("asks", ["during", None])
def test_a_state_that_is_none_is_refused(live: Trace, asks: object) -> None:
    said = f"asks: {asks!r} came, one of '', 'before', 'after' was expected."
    with pytest.raises(ValueError, match="^" + re.escape(said) + "$"):
        live.tell_asks("cross", asks)


def test_what_was_said_of_a_site_and_a_network_is_kept(live: Trace) -> None:
    diagram = Architecture((Node("0", "module", "it"),))
    for asks in ("before", "after"):
        live.tell_asks("cross", asks)
        assert live.sites[0].asks == asks
    live.set_architecture(diagram)
    assert live.architecture == diagram


def test_who_observes_hears_of_each_change() -> None:
    trace, heard = Trace(), []
    stop = trace.observe(lambda it: heard.append(it.status), lambda it: heard.append(f"end of {it.status}"))
    assert trace.is_observed
    trace.set_tokens("source", SOURCE)
    trace.add_site(Site("cross", "cross", 0, 3, "target", "source"))
    trace.append({"cross": row()}, token="die")
    trace.extend({"cross": row()}, [("Katze", ())])
    trace.set_architecture(Architecture())
    trace.set_beams([])
    trace.finish()
    assert heard == ["empty", "empty", *["recording"] * 4, "complete", "end of complete"]
    stop()
    assert not trace.is_observed
