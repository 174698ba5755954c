"""Fuzz what reads files, messages and texts: `fuzz.py RUNS`, spread over the targets of tests/fuzz/targets.py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bootstrap import install_group
from stamps import ROOT

SHARES = {  # of all inputs, so that each target takes about as long
    "folder": 0.01,
    "messages": 0.06,
    "page": 0.005,
    "file": 0.03,
    "header": 0.05,
    "base124": 0.42,
    "text": 0.425,
}
BUILD, CORPUS = ROOT / "build" / "fuzz", ROOT / "tests" / "fuzz" / "corpus"
COLUMNS = "{:<10} {:>10} {:>10} {:>9} {:>7} {:>9}"


@dataclass(frozen=True)
class Outcome:
    """What came of a target."""

    name: str
    runs: int
    seconds: float
    coverage: int
    kept: int
    finding: str  # where the input is, or what was printed last

    def __str__(self) -> str:
        rate = self.runs / max(self.seconds, 1e-9)
        said = COLUMNS.format(self.name, self.runs, f"{rate:.0f}", self.coverage, self.kept, f"{self.seconds:.0f} s")
        return f"{said}{'  FOUND: ' + self.finding if self.finding else ''}"


def fuzz(name: str, runs: int) -> Outcome:
    """Fuzz one target, beginning with the inputs of the corpus and of earlier runs."""
    folder = BUILD / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in (CORPUS / name).glob("*"):
        shutil.copy(file, folder)
    command = [sys.executable, str(ROOT / "tests" / "fuzz" / "one.py"), name, str(runs), str(folder)]
    began = time.monotonic()
    log = BUILD / f"{name}.log"
    with log.open("wb") as out:
        code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode
    text, seconds = log.read_text("utf-8", "replace"), time.monotonic() - began
    finding = ""
    if code:
        written = re.findall(r"Test unit written to (\S+)", text)
        finding = written[-1] if written else f"code {code}, see {log.relative_to(ROOT)}"
    return Outcome(name, _last(r"^#(\d+)", text), seconds, _last(r"cov: (\d+)", text), _files(folder), finding)


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else 0


def _files(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def main(runs: int, only: str) -> int:
    """Fuzz each target, print a table, and return 1 if something was found."""
    install_group("fuzz")
    shares = {name: share for name, share in SHARES.items() if only in ("", name)}
    print(COLUMNS.format("target", "inputs", "inputs/s", "coverage", "corpus", "time"), flush=True)
    outcomes = []
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as pool:
        work = [pool.submit(fuzz, name, int(runs * share / sum(shares.values()))) for name, share in shares.items()]
        for each in work:
            outcomes.append(each.result())
            print(outcomes[-1], flush=True)
    n_found = sum(1 for outcome in outcomes if outcome.finding)
    print(f"{sum(outcome.runs for outcome in outcomes):,} inputs, {n_found} targets with findings", flush=True)
    return 1 if n_found else 0


if __name__ == "__main__":
    sys.exit(main(int(os.environ.get("RUNS") or 20_000), os.environ.get("ONLY", "")))
