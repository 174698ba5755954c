"""A person's own pairs become a task, and a translator of their own."""

from __future__ import annotations

import random
from itertools import islice, product
from pathlib import Path

import pytest

from attnwidget import tasks

COLOURS = {"red": "rot", "green": "grün", "blue": "blau", "black": "schwarz"}
THINGS = {"house": "Haus", "car": "Auto", "cat": "Katze", "tree": "Baum", "door": "Tür"}
PAIRS = [(f"{c} {t} here", f"{t_de} {c_de} hier") for (c, c_de), (t, t_de) in product(COLOURS.items(), THINGS.items())]


def test_pairs_become_examples_without_gold() -> None:
    task = tasks.from_pairs(PAIRS, name="mine")
    assert task.name == "mine"
    assert set(task.source_words) == {*COLOURS, *THINGS, "here"}
    example = task.draw(random.Random(0))
    assert (" ".join(example.source), " ".join(example.target)) in PAIRS
    assert example.alignment == (None,) * 3
    assert task.tokenize(task.typed) == task.typed.split()


def test_lists_of_words_and_letters_are_taken_too() -> None:
    listed = tasks.from_pairs([(source.split(), tuple(target.split())) for source, target in PAIRS])
    assert listed.source_words == tasks.from_pairs(PAIRS).source_words
    letters = tasks.from_pairs(PAIRS, tokenize=list)
    assert set(letters.source_words) == set("".join(source for source, _ in PAIRS))
    assert letters.typed == "".join(letters.tokenize(letters.typed))


def test_the_same_tenth_is_held_out_and_its_words_are_learned() -> None:
    first, again = tasks.from_pairs(PAIRS), tasks.from_pairs(reversed(PAIRS))
    drawn = list(islice(first.examples(0), 500))
    held = {example for example in drawn if first.held_out(example)}
    assert len(held) == 2
    assert held == {example for example in drawn if again.held_out(example)}
    learned = {word for example in set(drawn) - held for word in (*example.source, *example.target)}
    assert learned == {*first.source_words, *first.target_words}


def test_one_pair_is_held_out_even_where_no_word_stands_twice() -> None:
    task = tasks.from_pairs([(f"a{number}", f"b{number}") for number in range(12)])
    assert sum(map(task.held_out, set(islice(task.examples(0), 500)))) == 1


@pytest.mark.parametrize(
    ("pairs", "error", "message"),
    [
        (7, TypeError, "pairs is a int"),
        ("abc", TypeError, "pair 0 is a str, not two texts"),
        ([("a", "b", "c")], TypeError, "pair 0 is a tuple, not two texts"),
        ([("a", 7)], TypeError, "the target of pair 0 is a int"),
        ([("a", ["b", 7])], TypeError, "the target of pair 0 is a list: expected a text or a list of str"),
        ([("a", "b"), (" ", "b")], ValueError, "the source of pair 1 is empty"),
        ([("a", ["b", ""])], ValueError, "the target of pair 0 is empty or holds an empty word"),
        ([], ValueError, "0 different pairs came: expected at least 10"),
        (PAIRS[:9] + PAIRS[:9], ValueError, "9 different pairs came"),
        ([(f"a{number}", "b") for number in range(20)], ValueError, "all pairs have the same target"),
    ],
)
def test_pairs_that_cannot_be_used_are_refused(pairs: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tasks.from_pairs(pairs)  # type: ignore[arg-type]


def test_a_file_of_pairs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("﻿good morning\tguten Morgen\r\n\r\nthe door\tdie Tür\n", encoding="utf-8")
    assert tasks.read_pairs(path) == [("good morning", "guten Morgen"), ("the door", "die Tür")]


@pytest.mark.parametrize("line", ["no tab", "a\tb\tc"])
def test_a_line_without_two_columns_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text(f"a\tb\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 2 of pairs.tsv has [13] columns: expected source and target"):
        tasks.read_pairs(path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_bytes("grün\tgreen".encode("latin-1"))
    with pytest.raises(ValueError, match=r"pairs.tsv is not text in UTF-8"):
        tasks.read_pairs(path)
