"""Write js/demo.html: every view on recordings of three reference systems, with the script that the last build made."""

from __future__ import annotations

from pathlib import Path

import attnwidget as aw
from attnwidget.export import embedded

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("numbers-de", "captioner", "transformer")

HEAD = """\
<!doctype html>
<html lang="en">
<!-- Written by scripts/demo_page.py. Open it after `npm run build`, or beside `npm run dev`. -->
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>attnwidget: every view</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 18px; max-width: 1120px; background: light-dark(#ffffff, #101217); }
main { margin-bottom: 24px; }
</style>
</head>
<body>
"""
SECTION = """\
<main></main>
{first}
{others}
"""
FOOT = """\
<script src="../attnwidget/static/standalone.js"></script>
</body>
</html>
"""


def recorded(name: str) -> aw.Trace:
    """Return what a reference system attends to while it runs its own example."""
    model = aw.models.pretrained(name)
    inputs = model.encode(model.example)
    with aw.record(model, source=inputs, title=name) as trace:
        model.run(inputs, on_token=aw.step)
    return trace


def main() -> None:
    """Write the page."""
    sections = []
    for name in NAMES:
        first, others = embedded(recorded(name))
        sections.append(SECTION.format(first=first, others=others))
    (ROOT / "js" / "demo.html").write_text(HEAD + "".join(sections) + FOOT, "utf-8")


if __name__ == "__main__":
    main()
