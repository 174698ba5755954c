"""Run every check that needs no test runner: lint, format, Python types, TypeScript types, generated files."""

from __future__ import annotations

import subprocess
import sys

import javascript
from stamps import ROOT

TSC = "node_modules/typescript/bin/tsc"
PRETTIER = "node_modules/prettier/bin/prettier.cjs"
FORMATTED = ("js/src/**/*.{ts,css}", "js/test/**/*.ts", "!js/src/wire.gen.ts")
REMEDIES = {
    "TypeScript format": "npm run format",
    "lint": ".venv/bin/ruff check --fix",
    "format": ".venv/bin/ruff format",
    "generated files": "make wire",
}


def failures() -> list[str]:
    """Run all checks, each in full, and return the names of those that failed."""
    outcomes = {
        "lint": _python("ruff", "check", "--quiet"),
        "format": _python("ruff", "format", "--check", "--quiet"),
        "Python types": _python("mypy", "--no-error-summary"),
        "TypeScript format": javascript.run_tool(PRETTIER, "--check", "--log-level=warn", *FORMATTED, check=False),
        "TypeScript types": javascript.run_tool(TSC, "-p", "js/tsconfig.json", check=False),
        "generated files": _python("attnwidget.wire", "--check"),
    }
    failed = [name for name, code in outcomes.items() if code]
    for name in outcomes:
        remedy = f" (perhaps cured by: {REMEDIES[name]})" if name in failed and name in REMEDIES else ""
        print(f"  {name}: {'FAILED' + remedy if name in failed else 'ok'}", flush=True)
    return failed


def _python(module: str, *arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    sys.exit(len(failures()))
