"""A beam search makes trees: parents come earlier and are one step before."""

from __future__ import annotations

import re

import numpy as np
import pytest

from attnwidget import Trace
from attnwidget.outline import Beam

TREE = (
    Beam(0, "Once", -1, 0.6, chosen=True),
    Beam(0, "The", -1, 0.3),
    Beam(1, "upon", 0, 0.9, chosen=True),
    Beam(1, "a", 0, 0.05),
    Beam(2, "a", 2, 1.0, chosen=True),
)


def test_a_trace_without_a_search_has_no_beams() -> None:
    assert Trace().beams == ()


def test_beams_come_back_as_they_went_in() -> None:
    trace = Trace()
    trace.set_beams(list(TREE))
    assert trace.beams == TREE


def test_beams_can_be_told_after_the_end(complete: Trace) -> None:
    heard: list[Trace] = []
    complete.observe(heard.append)
    complete.set_beams(TREE)
    assert (len(heard), complete.beams) == (1, TREE)


@pytest.mark.parametrize(
    ("beam", "said"),
    [
        (("a", -1), "beam 5: tuple came, a Beam was expected."),
        (Beam(0, 7, -1, 0.5), "beam 5: token 0 is int, a string was expected."),
        (Beam(0, "a", -1, None), "beam 5: NoneType came, a probability between 0 and 1 was expected."),
        (Beam(0, "a", -1, -2.5), "beam 5: -2.5 came, a probability between 0 and 1 was expected."),
        (Beam(0, "a", -1, float("nan")), "beam 5: nan came, a probability between 0 and 1 was expected."),
        (Beam(1, "a", -1, 0.5), "beam 5: step 1 came, 0 was expected behind its parent."),
        (Beam(-1, "a", -1, 0.5), "beam 5: step -1 came, 0 was expected behind its parent."),
        (Beam(3, "a", 5, 0.5), "beam 5: parent 5 came, -1 or the index of an earlier beam was expected."),
        (Beam(1, "a", -2, 0.5), "beam 5: parent -2 came, -1 or the index of an earlier beam was expected."),
        (Beam(2, "a", 1, 0.5), "beam 5: step 2 came, 1 was expected behind its parent."),
        (Beam(1, "a", 2, 0.5), "beam 5: step 1 came, 2 was expected behind its parent."),
        (Beam(1.0, "a", 0, 0.5), "beam 5: step is float, an int was expected."),
        (Beam(1, "a", True, 0.5), "beam 5: parent is bool, an int was expected."),
        (Beam(2, "a", 3, 0.5, chosen=True), "beam 5 is on the path that won, but its parent 3 is not."),
        (Beam(0, "a", -1, 0.5, chosen=True), "two beams of one step are on the path that won, one was expected."),
    ],
)
def test_a_beam_that_cannot_be_is_refused(beam: Beam, said: str) -> None:
    trace = Trace()
    trace.set_beams(TREE)
    with pytest.raises((TypeError, ValueError), match="^" + re.escape(said)):
        trace.set_beams((*TREE, beam))
    assert trace.beams == TREE


def test_a_path_that_won_did_so_from_its_first_beam_on() -> None:
    with pytest.raises(ValueError, match=r"^beam 1 is on the path that won, but its parent 0 is not\.$"):
        Trace().set_beams([Beam(0, "Once", -1, 0.6), Beam(1, "upon", 0, 0.9, chosen=True)])


def test_the_fields_of_a_beam_become_plain() -> None:
    trace = Trace()
    trace.set_beams([Beam(0, np.array(["a"])[0], -1, np.float32(0.5), chosen=1), Beam(1, "b", 0, 1.0005)])
    first, second = trace.beams
    assert [type(it) for it in (first.token, first.probability, first.chosen)] == [str, float, bool]
    assert (first, second) == (Beam(0, "a", -1, 0.5, True), Beam(1, "b", 0, 1.0, False))
