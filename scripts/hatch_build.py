"""Build the JavaScript before a wheel or an sdist is packed; needs no Node where the bundles came with the sdist."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))
import javascript


class BundleHook(BuildHookInterface):  # type: ignore[type-arg]
    """Makes sure that both bundles are there and current."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node as a wheel only where none is on PATH and something has to be built."""
        nothing_to_do = self._packed() or javascript.built()
        return [] if nothing_to_do or javascript.node_on_path() else [javascript.NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is missing or stale."""
        if not self._packed():
            javascript.bundle()

    def _packed(self) -> bool:
        """Return whether this is an unpacked sdist, which carries its bundles."""
        return (Path(self.root) / "PKG-INFO").is_file() and all(file.is_file() for file in javascript.BUNDLES)
