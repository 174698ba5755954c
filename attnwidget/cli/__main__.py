"""python -m attnwidget.cli is the command attnwidget."""

from attnwidget.cli import main

main()
