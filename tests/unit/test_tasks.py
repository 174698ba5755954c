"""The tasks give the same data for the same seed, gold alignments that are right, and errors that help."""

from __future__ import annotations

import datetime
import hashlib
import random
from itertools import islice
from string import ascii_lowercase

import pytest

from attnwidget import tasks
from attnwidget.tasks import dates, numbers_de

NAMES = ["reverse", "numbers-de", "dates", "sorting"]

# SHA-256 of the German for 0 to 9,999, one a line, as num2words 0.5.14 (lang="de") spells it.
GERMAN_DIGEST = "3d38ebd2c78f4683f822e26473da4d38dfa6078e28d1911decec2b6ab11fbbcf"


def gold(*keys: int | None) -> tuple[frozenset[int] | None, ...]:
    return tuple(None if key is None else frozenset({key}) for key in keys)


def date_example(iso: str, *, pattern: str) -> tasks.Example:
    return dates.example(datetime.date.fromisoformat(iso), pattern=pattern, rng=random.Random(0))


def test_available_lists_the_tasks() -> None:
    assert tasks.available() == NAMES


def test_unknown_task_error_lists_the_names() -> None:
    with pytest.raises(ValueError, match="reverse, numbers-de, dates, sorting"):
        tasks.get("sums")


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_gives_the_same_examples(name: str) -> None:
    first, again, other = (list(islice(tasks.get(name).examples(seed), 40)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", NAMES)
def test_examples_use_every_word_of_the_vocabulary_and_no_other(name: str) -> None:
    task = tasks.get(name)
    examples = list(islice(task.examples(0), 4_000))
    assert {word for example in examples for word in example.source} == set(task.source_words)
    assert {word for example in examples for word in example.target} == set(task.target_words)


@pytest.mark.parametrize("name", NAMES)
def test_one_example_in_ten_is_held_out(name: str) -> None:
    examples = list(islice(tasks.get(name).examples(0), 4_000))
    assert 0.03 < sum(map(tasks.held_out, examples)) / len(examples) < 0.13


def test_a_number_is_held_out_with_and_without_and() -> None:
    for value in range(101, 1_000):
        with_and, without = (numbers_de.example(value, with_and=with_and) for with_and in (True, False))
        if len(without.source) >= 3:
            assert tasks.held_out(with_and) == tasks.held_out(without)


def test_single_words_are_never_held_out() -> None:
    assert not any(tasks.held_out(numbers_de.example(value, with_and=False)) for value in range(21))


def test_example_refuses_an_alignment_of_the_wrong_length() -> None:
    with pytest.raises(ValueError, match="alignment has 1 entries but target has 2 tokens"):
        tasks.Example(("a", "b"), ("b", "a"), gold(1))


@pytest.mark.parametrize("keys", [frozenset({2}), frozenset({-1}), frozenset()])
def test_example_refuses_gold_outside_the_source(keys: frozenset[int]) -> None:
    with pytest.raises(ValueError, match="alignment of target token 1"):
        tasks.Example(("a", "b"), ("b", "a"), (None, keys))


def test_reverse_aligns_on_the_anti_diagonal() -> None:
    for example in islice(tasks.get("reverse").examples(0), 50):
        assert example.target == example.source[::-1]
        assert example.alignment == gold(*reversed(range(len(example.source))))


def test_reverse_draws_every_length_from_1_to_12() -> None:
    assert {len(example.source) for example in islice(tasks.get("reverse").examples(0), 400)} == set(range(1, 13))


def test_reverse_draws_strings_of_few_letters_too() -> None:
    drawn = [
        set(example.source) for example in islice(tasks.get("reverse").examples(0), 400) if len(example.source) > 8
    ]
    assert {1, 2, 3} <= {len(letters) for letters in drawn}
    assert set.union(*drawn) == set(ascii_lowercase)


def test_german_of_all_numbers_agrees_with_num2words() -> None:
    lines = ("".join(numbers_de.example(value, with_and=False).target) + "\n" for value in range(10_000))
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == GERMAN_DIGEST


@pytest.mark.parametrize(
    ("value", "english", "german", "alignment"),
    [
        (0, "zero", "null", gold(0)),
        (1, "one", "eins", gold(0)),
        (16, "sixteen", "sechzehn", gold(0)),
        (17, "seventeen", "siebzehn", gold(0)),
        (21, "twenty one", "ein und zwanzig", gold(1, None, 0)),
        (30, "thirty", "dreißig", gold(0)),
        (100, "one hundred", "ein hundert", gold(0, 1)),
        (101, "one hundred and one", "ein hundert eins", gold(0, 1, 3)),
        (421, "four hundred and twenty one", "vier hundert ein und zwanzig", gold(0, 1, 4, None, 3)),
        (1_000, "one thousand", "ein tausend", gold(0, 1)),
        (1_100, "one thousand one hundred", "ein tausend ein hundert", gold(0, 1, 2, 3)),
        (2_012, "two thousand and twelve", "zwei tausend zwölf", gold(0, 1, 3)),
        (
            9_777,
            "nine thousand seven hundred and seventy seven",
            "neun tausend sieben hundert sieben und siebzig",
            gold(0, 1, 2, 3, 6, None, 5),
        ),
    ],
)
def test_number_has_its_hand_made_german_and_gold(
    value: int, english: str, german: str, alignment: tuple[frozenset[int] | None, ...]
) -> None:
    expected = tasks.Example(tuple(english.split()), tuple(german.split()), alignment)
    assert numbers_de.example(value, with_and=True) == expected


def test_number_over_9999_is_refused() -> None:
    with pytest.raises(ValueError, match=r"value is 10,000: expected a whole number from 0 to 9,999"):
        numbers_de.example(10_000, with_and=False)


@pytest.mark.parametrize(
    ("iso", "pattern", "source", "alignment"),
    [
        (
            "2021-03-03",
            "{weekday}, {month} {day}{nth}, {year}",
            "wednesday , march 3 rd , 2 0 2 1",
            gold(6, 7, 8, 9, None, 2, 2, None, 3, 3),
        ),
        ("2021-03-14", "{m}/{day}/{year}", "3 / 1 4 / 2 0 2 1", gold(5, 6, 7, 8, None, 0, 0, None, 2, 3)),
        ("1987-12-05", "{dd}.{mm}.{year}", "0 5 . 1 2 . 1 9 8 7", gold(6, 7, 8, 9, None, 3, 4, None, 0, 1)),
        ("2050-05-31", "{year} {mon} {day}", "2 0 5 0 may 3 1", gold(0, 1, 2, 3, None, 4, 4, None, 5, 6)),
    ],
)
def test_date_has_its_hand_made_source_and_gold(
    iso: str, pattern: str, source: str, alignment: tuple[frozenset[int] | None, ...]
) -> None:
    assert date_example(iso, pattern=pattern) == tasks.Example(tuple(source.split()), tuple(iso), alignment)


@pytest.mark.parametrize("pattern", dates.FORMATS)
def test_every_date_format_can_be_typed_back(pattern: str) -> None:
    for iso in ("2021-03-03", "1999-12-11", "2050-09-22", "2087-05-30"):
        date = datetime.date.fromisoformat(iso)
        text = pattern.format_map(dates.fields(date, rng=random.Random(0)))
        assert dates.tokenize(text.upper()) == list(date_example(iso, pattern=pattern).source)


@pytest.mark.parametrize(
    ("name", "text", "tokens"),
    [
        ("reverse", " Hello World ", "h e l l o w o r l d"),
        ("numbers-de", "421", "four hundred twenty one"),
        ("numbers-de", "4,021", "four thousand twenty one"),
        ("numbers-de", "007", "seven"),
        ("numbers-de", "Twenty-One", "twenty one"),
        ("numbers-de", "one thousand, four hundred AND  two", "one thousand four hundred and two"),
        ("dates", "Wednesday, March 3rd, 2021", "wednesday , march 3 rd , 2 0 2 1"),
        ("dates", "3 mar 2021", "3 mar 2 0 2 1"),
        ("dates", "3/14/2021", "3 / 1 4 / 2 0 2 1"),
        ("dates", "the 3rd of Sept. 2021", "the 3 rd of sept . 2 0 2 1"),
        ("dates", "29 feb 2024", "2 9 feb 2 0 2 4"),
        ("dates", "2/29/2000", "2 / 2 9 / 2 0 0 0"),
        ("sorting", "42, 7;99  013,", "42 7 99 13"),
    ],
)
def test_tokenize_reads_what_people_type(name: str, text: str, tokens: str) -> None:
    assert tasks.get(name).tokenize(text) == tokens.split()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("reverse", "caf3", "character 3 .* not a letter"),
        ("reverse", "  ", "text is empty"),
        ("numbers-de", "10000", "the number has 5 digits: expected a whole number from 0 to 9,999"),
        ("numbers-de", "-5", "word 0 names no number"),
        ("numbers-de", "fourty two", "word 0 names no number"),
        ("numbers-de", "nineteen hundred", "not one number in the usual order"),
        ("numbers-de", "four and hundred", "not one number in the usual order"),
        ("dates", "tomorrow", "token 0 is no month"),
        ("dates", "3/14/21", "no single year in range"),
        ("dates", "March 2021", "not one day, one month and one year"),
        ("dates", "14/3/2021", "write month/day/year"),
        ("dates", "32 may 2021", "not one day, one month and one year"),
        ("dates", "february 29 2023", "the day is 29, but that month had 28 days"),
        ("dates", "29.2.1900", "the day is 29, but that month had 28 days"),
        ("dates", "4/31/2021", "the day is 31, but that month had 30 days"),
        ("numbers-de", ",,,", "not one number in the usual order"),
        ("sorting", "1 2 100", "entry 2 is no whole number from 0 to 99"),
        ("sorting", "1 -2", "entry 1 is no whole number"),
        ("sorting", "5 1 05", "entry 2 came before already: expected different whole numbers"),
    ],
)
def test_tokenize_says_what_it_cannot_read(name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tasks.get(name).tokenize(text)


@pytest.mark.parametrize("name", NAMES)
def test_tokenize_refuses_what_is_not_text(name: str) -> None:
    with pytest.raises(TypeError, match="text is a int: expected a str"):
        tasks.get(name).tokenize(421)  # type: ignore[arg-type]


def test_a_weekday_that_a_day_was_not_is_refused() -> None:
    assert dates.tokenize("wed, 3 march 2021")[0] == "wed"
    for typed, says in (
        ("monday march 3 2021", "monday, but that day was a wednesday"),
        ("wed wed 3 mar 2021", "wed and wed"),
    ):
        with pytest.raises(ValueError, match=says):
            dates.tokenize(typed)
