"""The tasks that are seen or walked: gold that is right, what people type, and errors that help."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from attnwidget.tasks import Example, clips, digits, grid, held_out, search, shapes

READERS: dict[str, Callable[[str], Example]] = {
    "shapes": shapes.read,
    "clips": clips.read,
    "digits": digits.read,
    "grid": grid.read,
    "search": search.read,
}
DRAWS: dict[str, Callable[[random.Random], Example]] = {
    "shapes": shapes.draw,
    "clips": clips.draw,
    "digits": digits.draw,
    "grid": grid.draw,
    "search": search.draw,
}


@pytest.mark.parametrize("name", DRAWS)
def test_same_seed_draws_the_same(name: str) -> None:
    first, again, other = (DRAWS[name](random.Random(seed)) for seed in (5, 5, 6))
    assert first == again
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)


def test_a_scene_has_its_caption_its_gold_and_its_pixels() -> None:
    example = shapes.read("Blue square b4, a red circle in b2")
    assert " ".join(example.target) == "a red circle above a blue square"
    red, blue = frozenset({shapes.CELLS.index("b2")}), frozenset({shapes.CELLS.index("b4")})
    assert example.alignment == (None, red, red, None, None, blue, blue)
    assert example.values is not None
    np.testing.assert_allclose(example.values[8 + 4, 8 + 4], shapes.COLOURS["red"])
    np.testing.assert_allclose(example.values[24 + 4, 8 + 4], shapes.COLOURS["blue"])
    np.testing.assert_allclose(example.values[0, 0], shapes.BACKGROUND)


def test_drawn_scenes_are_in_line_and_named_in_reading_order() -> None:
    rng = random.Random(0)
    for example in (shapes.draw(rng) for _ in range(200)):
        (first,), (second,) = example.alignment[1] or (), example.alignment[5] or ()
        assert first < second
        assert (first // 4 == second // 4) == (example.target[3] == "left-of")
        assert (first % 4 == second % 4) == (example.target[3] == "above")
        assert np.flatnonzero(shapes.busy(example.values)).tolist() == [first, second]


def test_a_clip_has_its_gold_where_words_can_be_read() -> None:
    example = clips.read("red circle moves right from b2, blue square c4")
    assert example.target == ("a", "red", "circle", "moves", "right")
    keys = [clips.KEYS.index(key) for key in ("1:b2", "2:c2", "3:d2", "4:d2", "5:d2")]
    assert example.alignment == (None, frozenset(keys), frozenset(keys), None, frozenset(keys[:3]))
    busy = shapes.busy(example.values)
    assert busy[:, clips.CELLS.index("c4")].all()
    assert [frame * 16 + cell for frame, cell in np.argwhere(busy) if cell != clips.CELLS.index("c4")] == keys


def test_digits_are_all_there_and_a_fifth_is_kept() -> None:
    images, names = digits.data()
    assert images.shape == (1797, 8, 8)
    assert (images.min(), images.max()) == (0, 1)
    assert np.bincount(names).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert len(digits.indices(held_out=True)) == 360
    assert all(digits.TASK.held_out(digits.example(index)) == (index % 5 == 0) for index in range(40))


def test_a_typed_digit_is_a_held_out_one() -> None:
    first, third, word = (digits.read(text).values for text in ("7", "7 #3", "Seven#1"))
    assert np.array_equal(first, word)
    held = digits.indices(held_out=True)
    sevens = held[digits.data()[1][held] == 7]
    assert np.array_equal(third, digits.data()[0][sevens[2]])


def test_the_shortest_way_goes_around_walls() -> None:
    example = grid.read("a#G../.#.../...../...../.....")
    assert len(example.target) == 6
    assert grid.reaches_goal(example.target, example=example)
    assert not grid.reaches_goal(("right", "right"), example=example)
    assert set(example.alignment) == {frozenset({2})}


def test_maps_with_the_same_ground_are_held_out_together() -> None:
    for goal in range(5, 15):
        kept = {
            grid.held_out(grid.example(agent, goal, walls=frozenset({17, 22}))) for agent in range(25)
            if agent not in (goal, 17, 22)
        }  # fmt: skip
        assert len(kept) == 1


def test_a_gallery_has_one_right_picture_among_near_misses() -> None:
    found = search.read("red circle left of blue square")
    captions = [picture.target for picture in found.gallery]
    assert len(set(captions)) == len(captions) == search.N_PICTURES
    assert captions.count(found.target) == 1
    assert ("a", "blue", "square", "left-of", "a", "red", "circle") in captions
    assert sum(sum(a != b for a, b in zip(caption, found.target, strict=True)) == 1 for caption in captions) >= 5
    assert held_out(found) == held_out(shapes.read("red circle a1, blue square b1"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("shapes", " ", "text is empty"),
        ("shapes", "red circle b2", "1 shapes came: expected two shapes and their cells"),
        ("shapes", "red circle b2, blue square", "2 words came for a shape"),
        ("shapes", "pink circle b2, blue square b4", "a colour is not among red, green, blue, yellow"),
        ("shapes", "red star b2, blue square b4", "a shape is not among circle, square, triangle"),
        ("shapes", "red circle e2, blue square b4", "a cell is not among a1 to d4"),
        ("shapes", "red circle b2, blue square b2", "both shapes are in cell b2"),
        ("shapes", "red circle b2, blue square c3", "b2 and c3 share neither a row nor a column"),
        ("clips", "red circle b2", "does not say what moves"),
        ("clips", "red circle moves north from b2", "a direction is not among left, right, up, down"),
        ("clips", "red circle moves left from a2", "a shape in a2 cannot move left"),
        ("clips", "red circle moves left from d2, red square b2", "in the other's way"),
        ("clips", "red circle moves left from d2, red square b1, red square b3", "3 shapes came"),
        ("digits", "eleven", "names no digit from 0 to 9"),
        ("digits", "7 #999", "picture #999 of 7 came: expected #1 to #"),
        ("digits", "7 #0", "picture #0 of 7 came"),
        ("grid", "A.G", "rows of 3 marks: expected five rows"),
        ("grid", "A.x../...../...../...../....G", "the mark in cell c1 is not one of"),
        ("grid", "A...A/...../...../...../....G", "the map has 2 A"),
        ("grid", "A#.../##.../...../...../....G", "no way leads from A to G"),
        ("search", "red circle", r"2 words came \(each a not counted\)"),
        ("search", "a red circle below a blue square", "word 2 .* is not one of left-of, above"),
    ],
)
def test_what_cannot_be_read_is_said(name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        READERS[name](text)


@pytest.mark.parametrize("name", READERS)
def test_what_is_not_text_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="text is a int: expected a str"):
        READERS[name](7)  # type: ignore[arg-type]
