"""A beam search makes trees: parents come earlier and are one step before."""

from __future__ import annotations

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
    "beam",
    [
        ("a", -1),
        Beam(0, 7, -1, 0.5),
        Beam(0, "a", -1, None),
        Beam(0, "a", -1, -2.5),
        Beam(0, "a", -1, float("nan")),
        Beam(1, "a", -1, 0.5),
        Beam(-1, "a", -1, 0.5),
        Beam(3, "a", 5, 0.5),
        Beam(1, "a", -2, 0.5),
        Beam(2, "a", 1, 0.5),
        Beam(1.0, "a", 0, 0.5),
        Beam(1, "a", True, 0.5),
        Beam(2, "a", 3, 0.5, chosen=True),
        Beam(0, "a", -1, 0.5, chosen=True),
    ],
)
def test_a_beam_that_cannot_be_is_refused(beam: Beam) -> None:
    trace = Trace()
    trace.set_beams(TREE)
    with pytest.raises((TypeError, ValueError), match="beam"):
        trace.set_beams((*TREE, beam))
    assert trace.beams == TREE
