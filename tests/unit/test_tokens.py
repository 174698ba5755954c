"""Tokens are strings in an order, and nothing else."""

from __future__ import annotations

import enum
from collections.abc import Callable

import numpy as np
import pytest
import torch

from attnwidget import Tokens


class Colour(str, enum.Enum):
    RED = "red"


class Encoding(dict[str, list[int]]):
    """What a tokenizer returns."""


def test_tokens_keep_every_character(hostile_texts: list[str]) -> None:
    assert list(Tokens.of(hostile_texts, strip="source")) == hostile_texts


def test_tokens_know_their_number_and_their_places() -> None:
    tokens = Tokens(("a", "", "\ud800"))
    assert (len(tokens), tokens[2]) == (3, "\ud800")


@pytest.mark.parametrize(
    "value", [np.array(["a", "b"]), np.array(["a", "b"], object), ["a", "b"], iter("ab"), ("a", "b")]
)
def test_tokens_come_in_any_sequence(value: object) -> None:
    assert Tokens.of(value, strip="source").texts == ("a", "b")


def test_texts_are_plain_strings() -> None:
    assert [type(text) for text in Tokens.of(np.array(["a"]), strip="source")] == [str]


def test_a_string_enumeration_keeps_its_value() -> None:
    assert Tokens.of([Colour.RED], strip="source").texts == ("red",)


SPLIT = " came, a list of tokens was expected. Split it as the model does, for example with text.split() or list(text)."
IDS = ", a string was expected. Turn token ids into text first, for example with tokenizer.convert_ids_to_tokens(ids)."
LIST = " came, a list of strings was expected, one for each token."
OUTPUT = LIST + " Of a tokenizer's output take tokenizer.convert_ids_to_tokens(output.input_ids)."


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("the cat", "one str of length 7" + SPLIT),
        (b"the cat", "one bytes of length 7" + SPLIT),
        ([1, 2], "token 0 is int" + IDS),
        (["a", None], "token 1 is NoneType" + IDS),
        ([b"a"], "token 0 is bytes" + IDS),
        (np.array([3, 4]), "token 0 is int64" + IDS),
        (np.array([["a"]]), "token 0 is ndarray" + IDS),
        (torch.tensor([3, 4]), "token 0 is Tensor" + IDS),
        (torch.tensor(3), "Tensor" + LIST),
        (None, "NoneType" + OUTPUT),
        (5, "int" + OUTPUT),
        ({"a", "b"}, "set" + OUTPUT),
        (Encoding(input_ids=[1]), "Encoding" + OUTPUT),
    ],
)
def test_what_is_no_list_of_strings_is_refused(value: object, said: str) -> None:
    with pytest.raises(TypeError) as error:
        Tokens.of(value, strip="source")
    assert str(error.value) == f"source: {said}"


def test_the_error_names_the_strip() -> None:
    with pytest.raises(TypeError, match=r"^target:"):
        Tokens.of([1], strip="target")


@pytest.mark.parametrize("value", ["abc", [1, 2], ("a", 1), None])
def test_tokens_cannot_be_made_around_the_check(value: object) -> None:
    with pytest.raises(TypeError, match=r"^tokens: "):
        Tokens(value)


def test_a_list_becomes_a_tuple() -> None:
    assert Tokens(["a", "b"]).texts == ("a", "b")


PICTURE, CLIP, SOUND = np.zeros((4, 4)), np.zeros((2, 4, 4)), np.zeros(8)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Tokens.image("a", (2, 2)), "image: "),
        (lambda: Tokens.image(PICTURE, (2,)), "grid: (2,) came, rows and columns were expected, each at least 1."),
        (lambda: Tokens.image(PICTURE, (2, 2), texts=[1, 2]), "texts: token 0 is int"),
        (lambda: Tokens.image(PICTURE, (2, 2), before=[1]), "before: token 0 is int"),
        (lambda: Tokens.image(PICTURE, (2, 2), after=[1]), "after: token 0 is int"),
        (lambda: Tokens.video("a", (2, 2)), "video: "),
        (lambda: Tokens.video(CLIP, (0, 2)), "grid: (2, 0, 2) came, frames and rows and columns were expected"),
        (lambda: Tokens.video(CLIP, (3, 2, 2)), "grid: 3 frames of patches came, but the clip has 2 frames."),
        (lambda: Tokens.audio(SOUND, 0), "grid: (0,) came, n_tokens were expected, each at least 1."),
    ],
)
def test_what_makes_no_scene_is_named(make: Callable[[], Tokens], said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        make()
    assert str(error.value).startswith(said)
