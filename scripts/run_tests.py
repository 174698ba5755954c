"""Run the checks, vitest and pytest, and close with one line: `N passed, N failed`, and how many were skipped."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import check
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


def vitest(report: Path) -> int:
    """Run the TypeScript tests."""
    reporters = ["--reporter=default", "--reporter=junit", f"--outputFile.junit={report}"]
    arguments = ["run", "--config", "js/vitest.config.ts", *reporters]
    return javascript.run_tool("node_modules/vitest/vitest.mjs", *arguments, check=False)


def pytest(folder: str, *, quiet: bool = False) -> Callable[[Path], int]:
    """Return a runner of the Python tests in a folder; a quiet one keeps what they say in a file beside the report."""

    def run(report: Path) -> int:
        command = [sys.executable, "-m", "pytest", "-q", "--durations=5", f"--junitxml={report}", folder]
        with report.with_suffix(".log").open("w", encoding="utf-8") as log:
            said = log if quiet else None
            return subprocess.run(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT if quiet else None
            ).returncode

    return run


BESIDE = "Python"  # it runs beside the others, which wait for a browser most of the time
SUITES = {
    BESIDE: pytest("tests/unit", quiet=True),
    "TypeScript": vitest,
    "browser": pytest("tests/browser"),
}


def timed(name: str) -> tuple[Count, float]:
    """Run a suite; return its counts and the seconds that it took."""
    began, report = time.monotonic(), REPORTS / f"{name.lower()}.xml"
    return tally(name, report, SUITES[name](report)), time.monotonic() - began


def main() -> int:
    """Run everything, whatever fails on the way, and return the exit code."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    _title("checks")
    total = Count(failed=len(check.failures()))
    lines = [f"checks: {total.failed} failed"]
    with ThreadPoolExecutor(max_workers=1) as beside:
        running = beside.submit(timed, BESIDE)
        for name in SUITES:
            _title(f"{name} tests")
            if name == BESIDE:
                print("They run beside the others; what they say follows at the end.", flush=True)
                continue
            count, seconds = timed(name)
            lines.append(f"{name}: {count} ({seconds:.0f} s)")
            total += count
        count, seconds = running.result()
    _title(f"{BESIDE} tests")
    print((REPORTS / f"{BESIDE.lower()}.log").read_text("utf-8"))
    lines.append(f"{BESIDE}: {count} ({seconds:.0f} s)")
    total += count
    _title("total")
    print("\n".join(lines))
    (REPORTS / "total").write_text(f"{total}\n")
    print(total, flush=True)
    return 1 if total.failed or not total.passed else 0


def _title(text: str) -> None:
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
