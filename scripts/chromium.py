"""Find a Chromium for the browser tests and the demo; install one where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from stamps import STAMPS, fresh, write

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
PACKAGES = ("chromium", "fonts-dejavu-core")
STAMP = STAMPS / "chromium"


def find() -> Path | None:
    """Return the Chromium to use: $CHROMIUM, else one on PATH, a macOS application, or playwright's own."""
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        return Path(chosen)
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return Path(found)
    for application in map(Path, APPLICATIONS):
        if application.is_file():
            return application
    return _playwrights()


def ensure() -> Path:
    """Return a Chromium that starts, installing one if need be.

    Raises:
        RuntimeError: none was found and none could be installed.
    """
    found = find()
    if found and fresh(STAMP, str(found)) and found.exists():
        return found
    if found and _starts(found):
        write(STAMP, str(found))
        return found
    for install in (_from_distribution, _from_playwright):
        if install():
            found = find()
            if found and _starts(found):
                write(STAMP, str(found))
                return found
    raise RuntimeError(
        "No Chromium that starts was found, and none could be installed. Install Chromium or Chrome, "
        "or name one: make CHROMIUM=/path/to/chromium ..."
    )


def _from_distribution() -> bool:
    apt = shutil.which("apt-get")
    if apt is None or _is_ubuntu():
        return False
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and not (shutil.which("sudo") and _quiet(["sudo", "-n", "true"])):
        return False
    print("  Chromium (apt-get install) ...", flush=True)
    noninteractive = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", apt]
    _call([*noninteractive, "update", "-qq"])
    return _call([*noninteractive, "install", "-y", "-qq", "--no-install-recommends", *PACKAGES])


def _from_playwright() -> bool:
    print("  Chromium (playwright install) ...", flush=True)
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    if sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get"):
        command.insert(-1, "--with-deps")
    return _call(command)


def _is_ubuntu() -> bool:
    """Return whether apt's `chromium` is only a pointer to a snap, which does not start in a container."""
    release = Path("/etc/os-release")
    return release.is_file() and "\nID=ubuntu" in "\n" + release.read_text()


def _playwrights() -> Path | None:
    """Return playwright's own Chromium if it was installed; asking playwright takes a second, so its answer is kept."""
    if STAMP.is_file() and Path(STAMP.read_text()).exists():
        return Path(STAMP.read_text())
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return path if path.exists() else None


def _starts(chromium: Path) -> bool:
    return _quiet([str(chromium), "--version"])


def _quiet(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def _call(command: list[str]) -> bool:
    """Run a command, its standard output kept off the screen; its errors still show."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    try:
        ensure()
    except RuntimeError as error:
        sys.exit(str(error))
