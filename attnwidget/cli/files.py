"""attnwidget open, export, inspect: what was recorded, without the model and without torch."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnwidget.cli.demo import Commands, look, temporary
from attnwidget.outline import printable

if TYPE_CHECKING:
    from attnwidget.trace import Trace

FORMATS = ("html", "svg", "png", "npz", "csv")
_LOOKS = ("html", "svg", "png")  # those that show one head of one site at one step


class FileProblem(Exception):
    """A file could not be read or written; the message says which, and why."""


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    opens = commands.add_parser(
        "open",
        help="look at a recording in the browser",
        description="Make one page of a recording, with every view alive, and open it. It needs no network.",
        epilog="example: attnwidget open run.attn --step 3 --rows key",
    )
    _add_file(opens)
    _add_look(opens)
    opens.add_argument("--out", type=Path, metavar="FILE", help="where to write the page; else a temporary file")
    opens.add_argument("--no-open", action="store_true", help="write the page, and open no browser")
    opens.set_defaults(run=_open)

    exports = commands.add_parser(
        "export",
        help="write a recording as page, picture or table",
        description="Write a recording in another form, which the ending of OUT says: .html is one page with every "
        "view alive, .svg and .png a figure for print, .npz arrays for numpy, .csv a table with a line a weight.",
        epilog="example: attnwidget export run.attn figure.png --step 3 --head 1 --scale 3",
    )
    _add_file(exports)
    exports.add_argument("out", type=Path, metavar="OUT", help=f"a name that ends in .{', .'.join(FORMATS)}")
    _add_look(exports)
    exports.add_argument(
        "--view",
        choices=("head", "heads", "diagram"),
        help="of .svg and .png: one head at one step (default), all heads, or the diagram of the network",
    )
    exports.add_argument("--theme", choices=("light", "dark"), help="of .svg and .png; light is for paper")
    exports.add_argument("--scale", type=float, metavar="N", help="of .png: pixels for each point (default: 2)")
    exports.set_defaults(run=_export)

    inspects = commands.add_parser(
        "inspect",
        help="say what is in a recording",
        description="Say what is in a recording: tokens, places of attention, their sizes, and what is unusual.",
        epilog="example: attnwidget inspect run.attn",
    )
    _add_file(inspects)
    inspects.add_argument("--verify", action="store_true", help="read all of it, and hold it against its checksums")
    inspects.set_defaults(run=_inspect)


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a recording: a file, or a folder that it grows in")


def _add_look(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", type=int, metavar="N", help="which place of attention, from 0, as inspect lists them")
    parser.add_argument("--head", type=int, metavar="N", help="which head, from 0; -1 is the mean over heads")
    parser.add_argument("--step", type=int, metavar="N", help="which row, from 0; by default the last of a decoder")
    parser.add_argument("--rows", choices=("query", "key"), help="what the rows of the heatmap are (default: query)")


def _read(path: Path, *, verify: bool = False) -> Trace:
    from attnwidget.file import TraceError, load

    try:
        return load(path, verify=verify)
    except (OSError, TraceError) as error:
        raise FileProblem(_said(error, path)) from None


def _write(path: Path, write: Callable[[], None]) -> None:
    try:
        write()
    except (OSError, ModuleNotFoundError) as error:
        raise FileProblem(_said(error, path)) from None


def _said(error: Exception, path: Path) -> str:
    """Return what an error says, in one line that a terminal can show, with the name of the file."""
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(told if str(path) in told or isinstance(error, ModuleNotFoundError) else f"{path}: {told}")


def _chosen(options: argparse.Namespace) -> dict[str, Any]:
    names = ("site", "head", "step", "rows")
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _open(options: argparse.Namespace) -> None:
    trace = _read(options.file)
    page = options.out or temporary(options.file.stem or "trace")
    _write(page, lambda: trace.to_html(page, **_chosen(options)))
    look(page, opened=not options.no_open)


def _export(options: argparse.Namespace) -> None:
    ending = options.out.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise ValueError(f"{options.out} came, a name that ends in .{', .'.join(FORMATS)} was expected.")
    given = {name: getattr(options, name) for name in ("view", "theme", "scale") if getattr(options, name) is not None}
    takes = {"svg": {"view", "theme"}, "png": {"view", "theme", "scale"}}.get(ending, set())
    for name in (*given, *_chosen(options)):
        if name not in takes and not (ending in _LOOKS and name in _chosen(options)):
            raise ValueError(f"--{name} says nothing about a .{ending} file: it holds the whole recording as it is.")
    if os.path.abspath(options.out) == os.path.abspath(options.file):
        raise ValueError(f"{options.out} is the recording itself; another name was expected.")
    trace = _read(options.file)
    write = getattr(trace, f"to_{ending}")
    progress = {} if ending in _LOOKS else {"progress": True}
    _write(options.out, lambda: write(options.out, **_chosen(options), **given, **progress))
    print(f"wrote {printable(str(options.out))}")


def _inspect(options: argparse.Namespace) -> None:
    from attnwidget.tables import summary

    print(summary(_read(options.file, verify=options.verify)))
