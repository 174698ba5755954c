"""The command line: recordings as pages, pictures and tables; the reference systems."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from traitlets import TraitError

from attnwidget.cli import demo, files
from attnwidget.outline import printable

__all__ = ["main"]

_EPILOG = """\
A recording is what trace.save("run.attn") wrote, a file or a folder.

  attnwidget demo dates                       run a shipped model and look at it
  attnwidget open run.attn                    look at a recording in the browser
  attnwidget export run.attn figure.svg --step 3 --head 1
  attnwidget inspect run.attn                 what is in it
  attnwidget COMMAND --help                   all about a command

The exit status is 0 if all went well, 1 if a file could not be read or written, 2 if the command line was wrong."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that was typed.

    Args:
        arguments: what was typed behind the name of the program; by default those of this process.

    Raises:
        SystemExit: with 1 where a file could not be read or written, with 2 where the command line was wrong.
    """
    parser = Parser(
        prog="attnwidget",
        description="See what a neural network attends to while it decodes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    commands = parser.add_subparsers(metavar="COMMAND")
    for room in (demo, files):
        room.add(commands)
    commands.add_parser("train", help="make shipped weights again, or train on pairs of your own", add_help=False)
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if typed[:1] == ["train"]:  # its options are known to a room that needs torch, which takes a second
        from attnwidget.models.training.command import main as train

        train(typed[1:], prog="attnwidget train")
        return
    options = parser.parse_args(typed)
    if options.version:
        print(f"attnwidget {version('attnwidget')}")
        return
    if not hasattr(options, "run"):
        parser.error("a command is required: " + ", ".join(commands.choices))
    try:
        options.run(options)
    except files.FileProblem as problem:
        print(f"attnwidget: {problem}", file=sys.stderr)
        raise SystemExit(1) from None
    except (OSError, TraitError, TypeError, ValueError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("attnwidget: stopped", file=sys.stderr)
        raise SystemExit(130) from None


class Parser(argparse.ArgumentParser):
    """What reads the command line; what it quotes of that may hold control characters."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, in one line that a terminal can show, and exit."""
        super().error(printable(message).strip())
