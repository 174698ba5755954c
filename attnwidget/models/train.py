"""Make shipped weights again from nothing: python -m attnwidget.models.train NAME."""

from __future__ import annotations

from .training.command import main

if __name__ == "__main__":
    main()
