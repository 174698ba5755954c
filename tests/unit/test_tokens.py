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


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("the cat", "one str of length 7"),
        (b"the cat", "one bytes of length 7"),
        ([1, 2], "token 0 is int"),
        (["a", None], "token 1 is NoneType"),
        ([b"a"], "token 0 is bytes"),
        (np.array([3, 4]), "token 0 is int64"),
        (np.array([["a"]]), "token 0 is ndarray"),
        (torch.tensor([3, 4]), "token 0 is Tensor"),
        (torch.tensor(3), "Tensor came"),
        (None, "NoneType came"),
        (5, "int came"),
        ({"a", "b"}, "set came"),
        (Encoding(input_ids=[1]), "Encoding came"),
    ],
)
def test_what_is_no_list_of_strings_is_refused(value: object, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        Tokens.of(value, strip="source")


def test_the_error_names_the_strip() -> None:
    with pytest.raises(TypeError, match=r"^target:"):
        Tokens.of([1], strip="target")


@pytest.mark.parametrize("value", ["abc", [1, 2], ("a", 1), None])
def test_tokens_cannot_be_made_around_the_check(value: object) -> None:
    with pytest.raises(TypeError):
        Tokens(value)


def test_a_list_becomes_a_tuple() -> None:
    assert Tokens(["a", "b"]).texts == ("a", "b")
