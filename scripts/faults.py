"""Let things go wrong at random moments in a real JupyterLab, and hold what the page shows against the truth.

A decoder is played whose every row is known beforehand. At a random moment of a random stage (the widget opens, rows
come, an answer is on its way, the page reloads, the recording ends, another cell runs) one fault happens. The page
passes if it ends with every row and the kernel's digests, or says what became of the rest; what it shows must be true.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import labkit
from played import ASK, CLEAR, STAND_STILL, Outcome
from playwright.sync_api import Error as PageError
from trials import Fault, Trials

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("opening", "streaming", "answering", "reloading", "ending", "beside")


def kill(on: Trials) -> None:
    """Kill the kernel as a machine does that has no memory left."""
    os.kill(int((on.lab.root / "pid").read_text()), signal.SIGKILL)


def tamper(on: Trials, how: str) -> None:
    """Do something to messages until it is calm."""
    on.wire.does = how


def slow(on: Trials) -> None:
    """Make the page slow for a while, or let it stand still."""
    if on.rng.random() < 0.5:
        on.devtools.send("Emulation.setCPUThrottlingRate", {"rate": 20})
    else:
        on.evaluate(STAND_STILL, on.rng.uniform(200, 2000))


def close(on: Trials) -> None:
    """Close the widget, as Python does, or its view, as somebody does who clears a cell."""
    if on.rng.random() < 0.5:
        (on.lab.root / "close").touch()
    else:
        on.evaluate(CLEAR)


def save(on: Trials) -> None:
    """Save the notebook."""
    with contextlib.suppress(PageError):
        labkit.save(on.page)


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("interrupt", lambda on: on.evaluate(ASK, "interrupt"), Trials.judged_whole, 0.1),
        Fault("restart", lambda on: on.evaluate(ASK, "restart"), Trials.judged_record, 0.1),
        Fault("kill", kill, Trials.judged_record, 0.1),
        Fault("cut", lambda on: on.wire.cut(), Trials.judged_whole, 3.0),
        Fault(
            "reload", lambda on: on.evaluate("() => void setTimeout(() => location.reload())"), Trials.judged_whole, 0.5
        ),
        Fault("lose", lambda on: tamper(on, "lose"), Trials.judged_whole, 1.0),
        Fault("lose all", lambda on: tamper(on, "lose all"), Trials.judged_whole, 2.0),
        Fault("duplicate", lambda on: tamper(on, "duplicate"), Trials.judged_whole, 2.0),
        Fault("reorder", lambda on: tamper(on, "reorder"), Trials.judged_whole, 2.0),
        Fault("save", save, Trials.judged_saved, 0.1),
        Fault("close", close, Trials.judged_closed, 0.1),
        Fault("slow", slow, Trials.judged_whole, 2.0),
    )
}


def stages_of(fault: str) -> tuple[str, ...]:
    """Return during what a fault makes sense: a widget that is closed or saved must be there."""
    return ("streaming", "answering", "ending") if fault in ("close", "save") else STAGES


def main() -> int:
    """Run every fault so many times, and return 1 if one of them led to a page that was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=5, help="of each fault")
    parser.add_argument("--only", nargs="*", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--first", type=int, default=0, help="number of the first one, to see one of them again")
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder, labkit.browser() as chrome:
        state = Path(folder)
        environment = {"PYTHONPATH": str(ROOT)}
        with labkit.server(state / "notebooks", state=state / "state", env=environment) as lab:
            for fault in options.only:
                of_fault = []
                trials = None
                for number in range(options.first, options.first + options.runs):
                    rng = random.Random(f"{options.seed} {fault} {number}")
                    if trials is None:
                        page = chrome.new_context(viewport={"width": 1400, "height": 1000}).new_page()
                        trials = Trials(page, lab, rng, saves=True)
                    trials.rng = trials.wire.rng = rng
                    try:
                        outcome = trials.run(FAULTS[fault], rng.choice(stages_of(fault)))
                    except (PageError, RuntimeError) as error:
                        outcome = Outcome(fault, "?", f"{type(error).__name__}: {error}", 0.0)
                    of_fault.append(outcome)
                    if not outcome.is_good:
                        print(f"{fault} {number} ({outcome.stage}): {outcome.verdict}", flush=True)
                        trials.page.context.close()
                        trials = None
                if trials is not None:
                    trials.page.context.close()
                counts = Counter(outcome.verdict if outcome.is_good else "WRONG" for outcome in of_fault)
                times = sorted(outcome.seconds for outcome in of_fault)
                print(
                    fault,
                    dict(counts),
                    f"seconds: median {times[len(times) // 2]:.2f}, most {times[-1]:.2f}",
                    flush=True,
                )
                outcomes += of_fault
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
