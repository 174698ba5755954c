"""Flags add up and speak in sentences."""

from __future__ import annotations

from typing import get_args

import pytest

from attnwidget.outline import MAX_PLACES, Flag, FlagKind, Kind, Site, first_shown, merged


@pytest.mark.parametrize("kind", get_args(FlagKind))
def test_every_kind_of_flag_has_a_sentence(kind: FlagKind) -> None:
    assert str(Flag(kind, 2)).startswith("2 ")


def test_a_flag_says_where_it_is_first() -> None:
    assert str(Flag("nan", 2, ((1, 3, -1), (2, 0, 0)))) == "2 weights are NaN (first: head 1, query 3)"


def test_flags_of_one_kind_are_counted_together() -> None:
    assert merged([Flag("nan", 2), Flag("negative", 1), Flag("nan", 3)]) == (Flag("nan", 5), Flag("negative", 1))


def test_a_flag_keeps_its_first_places_only() -> None:
    places = tuple((0, query, -1) for query in range(MAX_PLACES))
    assert Flag("nan", 5, places).plus(Flag("nan", 1, ((1, 1, 1),))).where == places


@pytest.mark.parametrize(
    ("kinds", "site"),
    [
        ([], 0),
        (["encoder", "encoder"], 0),
        (["encoder", "decoder", "decoder"], 1),
        (["encoder", "decoder", "cross", "decoder", "cross"], 2),
    ],
)
def test_what_a_decoder_looks_at_is_shown_first(kinds: list[Kind], site: int) -> None:
    assert first_shown([Site(f"{i}", kind, 0, 1, "target", "source") for i, kind in enumerate(kinds)]) == site
