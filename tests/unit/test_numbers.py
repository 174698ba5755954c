"""Numbers that nobody should hand over, through every door: refused in a sentence at once, or kept as they are."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from traitlets import TraitError

import attnwidget as aw
from attnwidget.outline import Beam

REFUSED = (TypeError, ValueError, KeyError, IndexError, TraitError)
HUGE = (2**31, 2**53 + 1, 2**63, 2**64 - 1, 10**30, 10**400)
ODD = (*HUGE, True, np.True_, -5, 1.5, math.nan, math.inf, "1", "", None, 1j, [1], object())


def whole() -> aw.Trace:
    return aw.Trace.from_weights(np.full((2, 2, 3), 1 / 3), source=["a", "b", "c"], target=["x", "y"])


def live(site: aw.Site | None = None, tolerance: object = None) -> aw.Trace:
    trace = aw.Trace(source=["a", "b", "c"])
    trace.add_site(site or aw.Site("cross", "cross", 0, 1, "target", "source"), tolerance=tolerance)
    return trace


def appended(**how: object) -> aw.Trace:
    trace = live()
    trace.append({"cross": np.full((1, 1, 3), 0.5)}, token="x", **how)
    return trace


DOORS: dict[str, Callable[[object], object]] = {
    "layer": lambda it: live(aw.Site("s", "cross", it, 1, "target", "source")),
    "heads": lambda it: live(aw.Site("s", "cross", 0, it, "target", "source")),
    "tolerance of a site": lambda it: live(tolerance=it),
    "tolerance of rows": lambda it: appended(tolerance=it),
    "probability": lambda it: appended(candidates=[("y", it)]),
    "image": lambda it: aw.Tokens.image(np.zeros((4, 4)), (it, 2)),
    "video": lambda it: aw.Tokens.video(np.zeros((2, 4, 4)), (2, it)),
    "sound": lambda it: aw.Tokens.audio(np.zeros(9), it),
    "seconds": lambda it: aw.Tokens.audio(np.zeros(9), 3, seconds=it),
    "head": lambda it: whole().weights(0, it),
    "queries": lambda it: whole().weights(0, 0, [it]),
    "keys": lambda it: whole().weights(0, 0, keys=[it]),
    "why": lambda it: whole().why(0, 0, it, 0),
    "overview": lambda it: whole().overview(size=it),
    "digest": lambda it: whole().digest(0, it),
    "span": lambda it: aw.grouped(whole(), {"source": [(0, it)]}),
    "beam": lambda it: live().set_beams([Beam(it, "a", -1, 0.5)]),
    "step": lambda it: aw.AttentionWidget(whole(), step=it).close(),
    "locked": lambda it: aw.AttentionWidget(whole(), locked=[it]).close(),
    "scale": lambda it: whole().to_png("/nowhere/at/all.png", scale=it),
}
MAY = {  # what is a number to a door, beside those in ODD that are refused by all
    "tolerance of a site": (*HUGE, True, np.True_, 1.5, math.inf, "1", None),
    "tolerance of rows": (*HUGE, True, np.True_, 1.5, math.inf, "1", None),
    "probability": (True, np.True_, "1", [1]),
    "layer": (True,),
    "heads": (True,),
    "image": (True,),
    "video": (True,),
    "sound": (True,),
    "seconds": (True, np.True_, 1.5, "1", None),
    "head": (None,),
    "digest": (None,),
    "overview": (*HUGE, True),
    "span": (True,),
    "scale": (True, np.True_, 1.5),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("door", DOORS)
def test_numbers_that_make_no_sense_are_refused_at_once(door: str) -> None:
    for number in ODD:
        try:
            DOORS[door](number)
        except REFUSED as error:
            assert str(error)  # noqa: PT017 - which it may be
        except FileNotFoundError:
            assert door == "scale"
        else:
            assert any(number is it for it in MAY.get(door, ())), number


def test_a_tolerance_that_is_no_number_hides_nothing() -> None:
    with pytest.raises(ValueError, match="nan came"):
        live(tolerance=math.nan)
    assert [flag.kind for flag in appended().flags] == ["row_sum"]


def test_a_mask_is_not_taken_for_indices() -> None:
    mask = np.array([False, True])
    with pytest.raises(TypeError, match="flatnonzero"):
        whole().weights(0, 0, mask)
    assert whole().weights(0, 0, np.flatnonzero(mask)).shape == (1, 3)


VALUES = [0.0, -0.0, 1e-45, 1e-38, 0.1, 1.0, 2.0, -1e30, 3.4028235e38, math.inf, -math.inf, math.nan]


def test_each_value_is_kept_to_the_bit_or_flagged() -> None:
    weights = np.array([VALUES], np.float32)
    trace = aw.Trace.from_weights(weights, source=[str(v) for v in VALUES], target=["x"])
    assert trace.weights(0, 0).tobytes() == weights.tobytes()
    assert {flag.kind: flag.count for flag in trace.flags} == {"nan": 1, "infinite": 2, "negative": 1, "above_one": 2}
