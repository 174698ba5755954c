"""The beams of a search, checked before a trace takes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from attnwidget.checks import as_probability
from attnwidget.outline import Beam
from attnwidget.tokens import Tokens


def as_beams(beams: Iterable[Beam]) -> tuple[Beam, ...]:
    """Return beams that make trees: each continues one that came earlier and stands one step before it.

    Raises:
        TypeError: what came are no beams, or their tokens no strings.
        ValueError: a parent that cannot be one, no probability, or two beams of one step on the path that won.
    """
    checked: list[Beam] = []
    for i, beam in enumerate(beams):
        if not isinstance(beam, Beam):
            raise TypeError(f"beam {i}: {type(beam).__name__} came, a Beam was expected.")
        for name, number in (("step", beam.step), ("parent", beam.parent)):
            if type(number) is not int:
                raise TypeError(f"beam {i}: {name} is {type(number).__name__}, an int was expected.")
        (token,) = Tokens.of([beam.token], strip=f"beam {i}")
        probability = as_probability(beam.probability, name=f"beam {i}")
        if not -1 <= beam.parent < i:
            raise ValueError(f"beam {i}: parent {beam.parent} came, -1 or the index of an earlier beam was expected.")
        step_before = checked[beam.parent].step if beam.parent >= 0 else -1
        if beam.step != step_before + 1:
            raise ValueError(f"beam {i}: step {beam.step} came, {step_before + 1} was expected behind its parent.")
        if beam.chosen and beam.parent >= 0 and not checked[beam.parent].chosen:
            raise ValueError(f"beam {i} is on the path that won, but its parent {beam.parent} is not.")
        checked.append(replace(beam, token=token, probability=probability, chosen=bool(beam.chosen)))
    winners = [beam.step for beam in checked if beam.chosen]
    if len(set(winners)) < len(winners):
        raise ValueError("two beams of one step are on the path that won, one was expected.")
    return tuple(checked)
