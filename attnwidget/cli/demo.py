"""attnwidget demo: a shipped model, run, and what it attended to in the browser."""

from __future__ import annotations

import argparse
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from attnwidget.outline import printable

if TYPE_CHECKING:
    from attnwidget.trace import Trace

Commands = argparse._SubParsersAction


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="run a shipped model and open what it attended to in the browser",
        description="Run a shipped model on an input and open what it attended to in the browser. Without a name all "
        "models are listed.",
        epilog="example: attnwidget demo dates --input 'March 3rd, 2021' --out dates.html --no-open",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the model")
    parser.add_argument("--input", metavar="TEXT", help="what it reads; by default an example of its own")
    parser.add_argument("--checkpoint", metavar="STATE", help='a state from its training, such as "early"')
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the page; else a temporary file")
    parser.add_argument("--no-open", action="store_true", help="write the page, and open no browser")
    parser.set_defaults(run=_demo)


def recorded(name: str, *, typed: str | None = None, checkpoint: str | None = None) -> tuple[list[str], Trace]:
    """Run a shipped model, and return its output with the recording.

    Args:
        name: of the model.
        typed: what it reads; None is an example of its own.
        checkpoint: a state from its training; None is the final one.

    Raises:
        ValueError: no such model or checkpoint, or an input that it cannot read.
    """
    from attnwidget.capture import record, step
    from attnwidget.models import pretrained

    model = pretrained(name, checkpoint=checkpoint)
    encoded = model.encode(model.example if typed is None else typed)
    with record(model, source=encoded, title=name if checkpoint is None else f"{name}, {checkpoint}") as trace:
        output = model.run(encoded, on_token=step)
    return output, trace


def look(page: Path, *, opened: bool) -> None:
    """Open a page that was written in the browser, unless that is not wanted, and say where it is."""
    opened = opened and webbrowser.open(page.resolve().as_uri())
    print(f"{'opened' if opened else 'wrote'} {printable(str(page))}")


def temporary(name: str) -> Path:
    """Return a path for a page of this name, in a folder of its own."""
    return Path(tempfile.mkdtemp(prefix="attnwidget-")) / f"{name}.html"


def _demo(options: argparse.Namespace) -> None:
    if options.name is None:
        from attnwidget.models import available

        print(available())
        return
    output, trace = recorded(options.name, typed=options.input, checkpoint=options.checkpoint)
    page = options.out or temporary(options.name)
    trace.to_html(page)
    print(printable(f"{' '.join(trace.tokens['source'])} -> {' '.join(output)}"))
    look(page, opened=not options.no_open)
