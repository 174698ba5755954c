"""Faults at random moments, a few of each run: `make faults` tries as many as there is time for."""

from __future__ import annotations

import random

import labkit
import pytest
import trials
from faults import FAULTS
from played import OF_HOST, Wire
from playwright.sync_api import Page
from trials import Trials

pytestmark = [pytest.mark.own_page, pytest.mark.console_errors(*OF_HOST)]


def test_the_page_tells_the_truth_after_what_happens_at_any_moment(page: Page, lab: labkit.Lab) -> None:
    rng = random.Random(7)
    notebook = Trials(page, lab, rng)
    some = (("lose all", "ending"), ("reorder", "answering"), ("duplicate", "opening"), ("restart", "streaming"))
    outcomes = [notebook.run(FAULTS[fault], stage) for fault, stage in some]
    assert [outcome for outcome in outcomes if not outcome.is_good] == []


def test_a_page_that_lacks_rows_is_found(page: Page, lab: labkit.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "NEVER_S", 0.5)
    monkeypatch.setattr(Wire, "calm", lambda _: None)
    outcome = Trials(page, lab, random.Random(7)).run(FAULTS["lose all"], "streaming")
    assert outcome.verdict.startswith("lacks: kernel complete")
