"""Numbers: English number words become German morphemes, whose units come before the tens.

The German follows the convention of spelling out one: einhundert, eintausend; "eins" only at the end.
"""

from __future__ import annotations

import random
import re

from .example import Example, Gold, Task, typed

LARGEST = 9_999
ONES = (
    ("zero", "null"), ("one", "ein"), ("two", "zwei"), ("three", "drei"), ("four", "vier"), ("five", "fünf"),
    ("six", "sechs"), ("seven", "sieben"), ("eight", "acht"), ("nine", "neun"), ("ten", "zehn"), ("eleven", "elf"),
    ("twelve", "zwölf"), ("thirteen", "dreizehn"), ("fourteen", "vierzehn"), ("fifteen", "fünfzehn"),
    ("sixteen", "sechzehn"), ("seventeen", "siebzehn"), ("eighteen", "achtzehn"), ("nineteen", "neunzehn"),
)  # fmt: skip
TENS = (
    ("twenty", "zwanzig"), ("thirty", "dreißig"), ("forty", "vierzig"), ("fifty", "fünfzig"), ("sixty", "sechzig"),
    ("seventy", "siebzig"), ("eighty", "achtzig"), ("ninety", "neunzig"),
)  # fmt: skip
LARGE = ((1_000, "thousand", "tausend"), (100, "hundred", "hundert"))
ENGLISH = (*(word for word, _ in ONES), *(word for word, _ in TENS), "hundred", "thousand", "and")
GERMAN = (*(word for _, word in ONES), *(word for _, word in TENS), "hundert", "tausend", "und", "eins")
EXPECTED = 'a whole number from 0 to 9,999, such as "421", "4,021" or "four hundred and twenty-one"'

P_WITH_AND = 0.5
P_EXTRA_ZERO = 0.25


def example(value: int, *, with_and: bool) -> Example:
    """Return a number as English words, German morphemes and the gold alignment between them.

    Args:
        value: the number, 0 to 9,999.
        with_and: say "four hundred and one"; no effect where nothing stands before or after the "and".

    Returns:
        The example; "und" has no gold, for no English word says it ("and" stands elsewhere, if at all).

    Raises:
        ValueError: value is not from 0 to 9,999.
    """
    if not 0 <= value <= LARGEST:
        raise ValueError(f"value is {value:,}: expected {EXPECTED}.")
    english: list[str] = []
    german: list[str] = []
    alignment: list[Gold | None] = []
    rest = value
    for size, large_english, large_german in LARGE:
        count, rest = divmod(rest, size)
        if count:
            german += [ONES[count][1], large_german]
            alignment += [frozenset({len(english)}), frozenset({len(english) + 1})]
            english += [ONES[count][0], large_english]
    if rest and english and with_and:
        english.append("and")
    if rest or not english:
        _below_hundred(rest, english=english, german=german, alignment=alignment)
    return Example(tuple(english), tuple(german), tuple(alignment))


def _below_hundred(rest: int, *, english: list[str], german: list[str], alignment: list[Gold | None]) -> None:
    first = len(english)
    if rest < len(ONES):
        english.append(ONES[rest][0])
        german.append("eins" if rest == 1 else ONES[rest][1])
        alignment.append(frozenset({first}))
        return
    tens, ones = divmod(rest, 10)
    tens_english, tens_german = TENS[tens - 2]
    english.append(tens_english)
    if ones:
        english.append(ONES[ones][0])
        german += [ONES[ones][1], "und"]
        alignment += [frozenset({first + 1}), None]
    german.append(tens_german)
    alignment.append(frozenset({first}))


def draw(rng: random.Random) -> Example:
    """Return a random number: 1 to 4 digits equally often, with more zeros than by chance, "and" half the time."""
    value = rng.randrange(10) if (n_digits := rng.randint(1, 4)) == 1 else rng.randint(1, 9)
    for _ in range(n_digits - 1):
        value = 10 * value + (0 if rng.random() < P_EXTRA_ZERO else rng.randrange(10))
    return example(value, with_and=rng.random() < P_WITH_AND)


def tokenize(text: str) -> list[str]:
    """Return the English words of a number typed in digits or in words, with or without hyphens, in any case.

    Raises:
        TypeError: text is not a str.
        ValueError: text is blank, holds a word that names no number, is over 9,999, or is not in the usual order.
    """
    stripped = typed(text, expected=EXPECTED)
    if re.fullmatch(r"[0-9]+|[0-9]{1,3}(,[0-9]{3})+", stripped):
        digits = stripped.replace(",", "").lstrip("0") or "0"
        if len(digits) > len(str(LARGEST)):
            raise ValueError(f"the number has {len(digits)} digits: expected {EXPECTED}.")
        return list(example(int(digits), with_and=False).source)
    words = re.sub(r"[-,\s]+", " ", stripped).split()
    for index, word in enumerate(words):
        if word not in ENGLISH:
            raise ValueError(f"word {index} names no number in English: expected {EXPECTED}. Check its spelling.")
    value = _value(words)
    for with_and in (False, True):
        if value <= LARGEST and tuple(words) == example(value, with_and=with_and).source:
            return words
    raise ValueError(
        f"the text is not one number in the usual order: expected {EXPECTED}. "
        'Say "one thousand nine hundred", not "nineteen hundred", and "one hundred", not "hundred".'
    )


def _value(words: list[str]) -> int:
    ones = {word: value for value, (word, _) in enumerate(ONES)}
    tens = {word: 10 * value for value, (word, _) in enumerate(TENS, start=2)}
    total = group = 0
    for word in words:
        if word == "thousand":
            total, group = total + 1_000 * group, 0
        elif word == "hundred":
            group *= 100
        else:
            group += ones.get(word, 0) + tens.get(word, 0)
    return total + group


TASK = Task(
    name="numbers-de",
    summary="English number words -> German morphemes: four hundred twenty one -> vier hundert ein und zwanzig",
    source_words=ENGLISH,
    target_words=GERMAN,
    draw=draw,
    tokenize=tokenize,
    typed="4877",
)
