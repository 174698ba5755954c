"""attnwidget demo and attnwidget train: the reference systems from the command line."""

from __future__ import annotations

import argparse
import tempfile
import webbrowser
from pathlib import Path

from attnwidget.capture import record, step
from attnwidget.models import available, pretrained
from attnwidget.models.training.command import add_arguments, run
from attnwidget.trace import Trace


def main(arguments: list[str] | None = None) -> None:
    """Run the command that was typed."""
    parser = argparse.ArgumentParser(prog="attnwidget", description="See what a decoder attends to.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="run a shipped model and open what it attended to in the browser")
    demo.add_argument("name", nargs="?", metavar="NAME", help="of the model; without it all are listed")
    demo.add_argument("--input", metavar="TEXT", help="what it reads; by default an example of its own")
    demo.add_argument("--checkpoint", metavar="STATE", help='a state from its training, such as "early"')
    demo.add_argument("--out", type=Path, metavar="FILE", help="where to write the page; by default a temporary file")
    demo.add_argument("--no-open", action="store_true", help="write the page, and open no browser")
    demo.set_defaults(run=_demo)

    train = commands.add_parser("train", help="make shipped weights again, or train on pairs of your own")
    add_arguments(train)
    train.set_defaults(run=run)

    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (OSError, TypeError, ValueError) as error:
        parser.error(str(error))


def recorded(name: str, *, typed: str | None = None, checkpoint: str | None = None) -> tuple[list[str], Trace]:
    """Run a shipped model, and return its output with the recording.

    Args:
        name: of the model.
        typed: what it reads; None is an example of its own.
        checkpoint: a state from its training; None is the final one.

    Raises:
        ValueError: no such model or checkpoint, or an input that it cannot read.
    """
    model = pretrained(name, checkpoint=checkpoint)
    encoded = model.encode(model.example if typed is None else typed)
    with record(model, source=encoded, title=name if checkpoint is None else f"{name}, {checkpoint}") as trace:
        output = model.run(encoded, on_token=step)
    return output, trace


def _demo(options: argparse.Namespace) -> None:
    if options.name is None:
        print(available())
        return
    output, trace = recorded(options.name, typed=options.input, checkpoint=options.checkpoint)
    page = options.out or Path(tempfile.mkdtemp(prefix="attnwidget-")) / f"{options.name}.html"
    trace.to_html(page)
    print(f"{' '.join(trace.tokens['source'])} -> {' '.join(output)}")
    opened = not options.no_open and webbrowser.open(page.resolve().as_uri())
    print(f"{'opened' if opened else 'wrote'} {page}")


if __name__ == "__main__":
    main()
