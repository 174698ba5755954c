"""Run the checks, vitest and pytest, and close with one line: `N passed, N failed`, and how many were skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import javascript
from stamps import ROOT

REPORTS = ROOT / "build" / "reports"


@dataclass(frozen=True)
class Count:
    """How many tests passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def read(report: Path) -> Count:
    """Return the counts of one JUnit report, as pytest and vitest write them."""
    passed = failed = skipped = 0
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return Count(passed, failed, skipped)


def tally(name: str, report: Path, code: int) -> Count:
    """Return a suite's counts; one that broke down or ran nothing counts as one failure and is named."""
    count = read(report) if report.is_file() else Count()
    if count.passed + count.failed == 0:
        print(f"{name}: no test ran (code {code})", flush=True)
        return count + Count(failed=1)
    if code and not count.failed:
        print(f"{name}: every test passed, but the run ended with code {code}", flush=True)
        return count + Count(failed=1)
    return count


@dataclass(frozen=True)
class Suite:
    """Something to run that ends with a count; what it says goes to a log, or is seen at once where there is none."""

    name: str
    command: Callable[[Path], list[str]]
    count: Callable[[str, Path, int], Count] = tally
    seen: bool = False

    def run(self) -> Outcome:
        """Run it to its end."""
        began, report = time.monotonic(), REPORTS / f"{self.name.lower()}.xml"
        with report.with_suffix(".log").open("w", encoding="utf-8") as log:
            code = subprocess.run(
                self.command(report),
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=None if self.seen else log,
                stderr=None if self.seen else subprocess.STDOUT,
            ).returncode
        return Outcome(self, self.count(self.name, report, code), time.monotonic() - began)


@dataclass(frozen=True)
class Outcome:
    """What became of a suite, and the seconds that it took."""

    suite: Suite
    count: Count
    seconds: float

    def __str__(self) -> str:
        return f"{self.suite.name}: {self.count} ({self.seconds:.0f} s)"


def environment() -> dict[str, str]:
    """Return the variables of the suites: Node is found, and networks as small as those of tests run on one thread."""
    return {**javascript.find_node().environment(), "OMP_NUM_THREADS": "1"}


def checks(_: Path) -> list[str]:
    """Return the command that runs the checks."""
    return [sys.executable, str(ROOT / "scripts" / "check.py")]


def failed_checks(_name: str, _report: Path, code: int) -> Count:
    """Return how many checks failed; checks that passed are no tests."""
    return Count(failed=abs(code))


def vitest(report: Path) -> list[str]:
    """Return the command that runs the TypeScript tests."""
    reporters = ["--reporter=default", "--reporter=junit", f"--outputFile.junit={report}"]
    node = javascript.find_node().node
    return [node, "node_modules/vitest/vitest.mjs", "run", "--config", "js/vitest.config.ts", *reporters]


def pytest(folder: str) -> Callable[[Path], list[str]]:
    """Return what makes the command that runs the Python tests in a folder."""

    def command(report: Path) -> list[str]:
        workers = ["-n", str(N_WORKERS), "--dist", "worksteal"]
        return [sys.executable, "-m", "pytest", "-q", *workers, "--durations=5", f"--junitxml={report}", folder]

    return command


N_WORKERS = min(4, max(2, (os.cpu_count() or 2) // 2))  # of each suite of pytest; those of browsers often wait
BROWSER = Suite("browser", pytest("tests/browser"), seen=True)
BESIDE = (  # one after the other, beside those of browsers
    Suite("checks", checks, failed_checks),
    Suite("TypeScript", vitest),
    Suite("Python", pytest("tests/unit")),
)


def main() -> int:
    """Run everything, whatever fails on the way, and return the exit code."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    _title("browser tests; the others run beside them, and what they say follows")
    with ThreadPoolExecutor(max_workers=1) as beside:
        running = [beside.submit(suite.run) for suite in BESIDE]
        outcomes = [BROWSER.run()]
        for one in running:
            outcome = one.result()
            outcomes.append(outcome)
            _title(outcome.suite.name)
            print((REPORTS / f"{outcome.suite.name.lower()}.log").read_text("utf-8"))
    total = sum((outcome.count for outcome in outcomes), Count())
    _title("total")
    print(*outcomes, sep="\n")
    (REPORTS / "total").write_text(f"{total}\n")
    print(total, flush=True)
    return 1 if total.failed or not total.passed else 0


def _title(text: str) -> None:
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
