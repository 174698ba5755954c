"""A repair of ipykernel, so that what a page tells is heard while a cell runs."""

from __future__ import annotations


def keep_subshell(comm: object) -> None:
    """Let a page's messages be handled while a cell runs, where the front end asks for that.

    ipykernel 7.4.0 hands a comm's messages to the shell that last published on it, which is the busy one.
    """
    if hasattr(comm, "_reply_subshell_for"):
        setattr(comm, "_reply_subshell_for", lambda data, default: default)  # noqa: B010
