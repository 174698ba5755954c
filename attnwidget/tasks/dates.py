"""Dates: a date as people write it becomes YYYY-MM-DD, one token per character.

Numeric dates are read by one rule, so none is ambiguous: 3/14/2021 is month/day/year, 14.3.2021 is day.month.year,
and 2021-3-14 or 2021/3/14, with the year in front, is year, month, day.
"""

from __future__ import annotations

import calendar
import datetime
import random
import re
import string

from .example import Example, Gold, Task, typed

FIRST_YEAR, LAST_YEAR = 1000, 2999
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
SHORT_MONTHS = (*(month[:3] for month in MONTHS), "sept")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SHORT_WEEKDAYS = (*(weekday[:3] for weekday in WEEKDAYS), "tues", "thur", "thurs")
ORDINALS = ("st", "nd", "rd", "th")
WORDS = tuple(dict.fromkeys((
    *MONTHS, *SHORT_MONTHS, *WEEKDAYS, *SHORT_WEEKDAYS, *ORDINALS, "of", "the",
)))  # fmt: skip
PUNCTUATION = (",", ".", "/", "-")
SOURCE_WORDS = (*WORDS, *string.digits, *PUNCTUATION)
NUMERIC = (
    r"(?P<m>\d\d?)/(?P<d>\d\d?)/\d{4}",
    r"(?P<d>\d\d?)\.(?P<m>\d\d?)\.\d{4}",
    r"\d{4}-(?P<m>\d\d?)-(?P<d>\d\d?)",
    r"\d{4}/(?P<m>\d\d?)/(?P<d>\d\d?)",
)

# On 3 March: {day} 3, {dd} 03, {nth} rd, {month} march, {mon} mar, {m} 3, {mm} 03.
FORMATS = (
    "{month} {day}, {year}",
    "{month} {day} {year}",
    "{month} {day}{nth}, {year}",
    "{month} {day}{nth} {year}",
    "{month} {dd}, {year}",
    "{mon} {day}, {year}",
    "{mon} {day} {year}",
    "{mon} {day}{nth} {year}",
    "{mon}. {dd}, {year}",
    "{mon}. {day}, {year}",
    "{day} {month} {year}",
    "{day} {month}, {year}",
    "{day}{nth} {month} {year}",
    "{day}{nth} of {month} {year}",
    "{day}{nth} of {month}, {year}",
    "the {day}{nth} of {month}, {year}",
    "the {day}{nth} of {month} {year}",
    "{day}. {month} {year}",
    "{day} {mon} {year}",
    "{dd} {mon} {year}",
    "{day} {mon}. {year}",
    "{day}-{mon}-{year}",
    "{dd}-{mon}-{year}",
    "{weekday}, {month} {day}, {year}",
    "{weekday}, {month} {day}{nth}, {year}",
    "{weekday} {month} {day} {year}",
    "{weekday} {day} {month} {year}",
    "{weekday}, {day} {month} {year}",
    "{weekday}, the {day}{nth} of {month}, {year}",
    "{wday} {day} {mon} {year}",
    "{wday}, {day} {mon} {year}",
    "{wday}, {mon} {day}, {year}",
    "{wday}. {mon}. {day}, {year}",
    "{year} {month} {day}",
    "{year}, {month} {day}",
    "{year} {month} {day}{nth}",
    "{year} {mon} {day}",
    "{year} {mon} {dd}",
    "{m}/{day}/{year}",
    "{mm}/{dd}/{year}",
    "{day}.{m}.{year}",
    "{dd}.{mm}.{year}",
    "{year}-{mm}-{dd}",
    "{year}-{m}-{day}",
    "{year}/{mm}/{dd}",
)
EXPECTED = (
    f'a date with a year of four digits from {FIRST_YEAR} to {LAST_YEAR}, such as "March 3rd, 2021" or "3/14/2021"'
)


def fields(date: datetime.date, *, rng: random.Random) -> dict[str, str]:
    """Return how each field of FORMATS is written on that date, lower-cased; rng chooses among short forms."""
    return {
        "year": f"{date.year:04d}",
        "month": MONTHS[date.month - 1],
        "mon": rng.choice([word for word in SHORT_MONTHS if MONTHS[date.month - 1].startswith(word)]),
        "m": f"{date.month}",
        "mm": f"{date.month:02d}",
        "day": f"{date.day}",
        "dd": f"{date.day:02d}",
        "nth": _ordinal(date.day),
        "weekday": WEEKDAYS[date.weekday()],
        "wday": rng.choice([word for word in SHORT_WEEKDAYS if WEEKDAYS[date.weekday()].startswith(word)]),
    }


def example(date: datetime.date, *, pattern: str, rng: random.Random) -> Example:
    """Return a date in one of the FORMATS, its ISO form, and the gold alignment between them.

    Args:
        date: a day from 1900-01-01 to 2099-12-31.
        pattern: how the source is written; a member of FORMATS.
        rng: chooses among several short forms (sep, sept).

    Returns:
        The example. Year digits go to year digits and day digits to day digits, one to one; both month digits go to
        the month word; where one digit is written and two are wanted, both go to that digit; hyphens have no gold.
    """
    written = fields(date, rng=rng)
    source: list[str] = []
    where: dict[str, list[int]] = {}
    for literal, field, _, _ in string.Formatter().parse(pattern):
        source += _split(literal)
        if field is not None:
            tokens = _split(written[field])
            where[field] = list(range(len(source), len(source) + len(tokens)))
            source += tokens
    months = next(keys for field, keys in where.items() if field in ("month", "mon", "m", "mm"))
    days = next(keys for field, keys in where.items() if field in ("day", "dd"))
    golds = [*where["year"], None, months[0], months[-1], None, days[0], days[-1]]
    alignment: tuple[Gold | None, ...] = tuple(None if key is None else frozenset({key}) for key in golds)
    return Example(tuple(source), tuple(date.isoformat()), alignment)


def _ordinal(day: int) -> str:
    return "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _split(text: str) -> list[str]:
    return re.findall(r"[a-z]+|[0-9]|[^a-z0-9\s]", text)


def draw(rng: random.Random) -> Example:
    """Return a random day from 1900 to 2099 in a random format."""
    first = datetime.date(FIRST_YEAR, 1, 1).toordinal()
    last = datetime.date(LAST_YEAR, 12, 31).toordinal()
    date = datetime.date.fromordinal(rng.randint(first, last))
    return example(date, pattern=rng.choice(FORMATS), rng=rng)


def tokenize(text: str) -> list[str]:
    """Return the tokens of a date: words whole, one token per digit, one per punctuation mark; no spaces, lower case.

    Raises:
        TypeError: text is not a str.
        ValueError: text is blank, holds an unknown word or mark, is not one day, one month and one four-digit year, or
            there was no such day, or it was another weekday.
    """
    stripped = typed(text, expected=EXPECTED)
    tokens = _split(stripped)
    for index, token in enumerate(tokens):
        if token not in SOURCE_WORDS:
            raise ValueError(
                f"token {index} is no month, weekday, ordinal ending, digit or one of {' '.join(PUNCTUATION)}: "
                f"expected {EXPECTED}. Check its spelling, in English."
            )
    numbers = re.findall(r"[0-9]+", stripped)
    years = [number for number in numbers if len(number) == 4]
    if len(years) != 1 or not FIRST_YEAR <= int(years[0]) <= LAST_YEAR:
        raise ValueError(f"the text has no single year in range: expected {EXPECTED}. Write all four digits.")
    months = [_month(token) for token in tokens if token in MONTHS or token in SHORT_MONTHS]
    days = [int(number) for number in numbers if len(number) <= 2]
    if len(months) == 1 and len(numbers) == 2 and len(days) == 1:
        month, day = months[0], days[0]
    else:
        matches = (re.fullmatch(shape, "".join(tokens)) for shape in NUMERIC)
        month, day = next(((int(match["m"]), int(match["d"])) for match in matches if match), (0, 0))
    if not (1 <= month <= len(MONTHS) and 1 <= day <= 31):
        raise ValueError(
            f"the {len(tokens)} tokens are not one day, one month and one year: expected {EXPECTED}. "
            "In digits alone, write month/day/year, day.month.year or year-month-day."
        )
    if day > (n_days := calendar.monthrange(int(years[0]), month)[1]):
        raise ValueError(f"the day is {day}, but that month had {n_days} days: expected {EXPECTED}.")
    weekday = WEEKDAYS[datetime.date(int(years[0]), month, day).weekday()]
    named = [token for token in tokens if token in WEEKDAYS or token in SHORT_WEEKDAYS]
    if len(named) > 1 or not all(weekday.startswith(name) for name in named):
        raise ValueError(f"the weekday is {' and '.join(named)}, but that day was a {weekday}: expected {EXPECTED}.")
    return tokens


def _month(word: str) -> int:
    return next(number for number, month in enumerate(MONTHS, start=1) if month.startswith(word))


TASK = Task(
    name="dates",
    summary="a date as people write it -> ISO: march 3rd, 2021 -> 2 0 2 1 - 0 3 - 0 3",
    source_words=SOURCE_WORDS,
    target_words=(*string.digits, "-"),
    draw=draw,
    tokenize=tokenize,
    typed="Wednesday, March 3rd, 2021",
)
