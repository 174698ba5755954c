"""Tokens are strings in an order, and nothing else."""

from __future__ import annotations

import enum

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
    with pytest.raises(TypeError):
        Tokens(value)


def test_a_list_becomes_a_tuple() -> None:
    assert Tokens(["a", "b"]).texts == ("a", "b")
