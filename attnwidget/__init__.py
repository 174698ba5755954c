"""attnwidget shows what a neural network attends to while it decodes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnwidget import analysis, models, tasks
    from attnwidget.capture import CaptureError, Edit, generate, inspect, record, rerun, step
    from attnwidget.capture.mark import mark
    from attnwidget.dashboard import show
    from attnwidget.file import TraceError, load
    from attnwidget.grouping import grouped
    from attnwidget.outline import Site
    from attnwidget.tokens import Tokens
    from attnwidget.trace import Trace
    from attnwidget.widget import AttentionWidget

_HOME = {
    "record": "attnwidget.capture",
    "generate": "attnwidget.capture",
    "inspect": "attnwidget.capture",
    "rerun": "attnwidget.capture",
    "Edit": "attnwidget.capture",
    "step": "attnwidget.capture",
    "mark": "attnwidget.capture",
    "CaptureError": "attnwidget.capture",
    "show": "attnwidget.dashboard",
    "grouped": "attnwidget.grouping",
    "load": "attnwidget.file",
    "TraceError": "attnwidget.file",
    "AttentionWidget": "attnwidget.widget",
    "Trace": "attnwidget.trace",
    "Tokens": "attnwidget.tokens",
    "Site": "attnwidget.outline",
}
_MODULES = ("analysis", "models", "tasks")

__all__ = [
    "AttentionWidget",
    "CaptureError",
    "Edit",
    "Site",
    "Tokens",
    "Trace",
    "TraceError",
    "analysis",
    "generate",
    "grouped",
    "inspect",
    "load",
    "mark",
    "models",
    "record",
    "rerun",
    "show",
    "step",
    "tasks",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _MODULES:
        return import_module(f"attnwidget.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("attnwidget")
    raise AttributeError(f"module 'attnwidget' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
