"""Draw the two pictures of the README, light and dark, from the page that the demo exported."""

from __future__ import annotations

import sys
from typing import Literal

import labkit
from demo import COMPLETE, DRAWN_MS, PAGE
from playwright.sync_api import expect
from stamps import ROOT

IMAGES = ROOT / "docs" / "images"
WIDTH_PX = 1120
HEIGHT_PX = 690
SCALE = 2
STEPS_BEFORE_LAST = 2  # in mid-sentence, so that what is not decoded yet is seen too
GHOST = ".attnwidget-output .attnwidget-token[data-ghost]"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def main() -> None:
    """Write docs/images/widget-light.png and widget-dark.png."""
    if not PAGE.is_file():
        sys.exit(f"{PAGE.relative_to(ROOT)} is missing: run make picture, which runs the demo first.")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with labkit.browser() as chrome:
        for scheme in SCHEMES:
            page = chrome.new_page(
                viewport={"width": WIDTH_PX, "height": HEIGHT_PX},
                device_scale_factor=SCALE,
                color_scheme=scheme,
                reduced_motion="reduce",
            )
            page.goto(PAGE.as_uri())
            page.locator(COMPLETE).first.wait_for(timeout=DRAWN_MS)
            slider = page.get_by_role("slider", name="step")
            slider.press("End")
            for _ in range(STEPS_BEFORE_LAST):
                slider.press("ArrowLeft")
            slider.blur()
            expect(page.locator(GHOST)).to_have_count(STEPS_BEFORE_LAST)
            picture = IMAGES / f"widget-{scheme}.png"
            page.screenshot(path=picture, full_page=True)
            page.close()
            print(f"  {picture.relative_to(ROOT)}  {picture.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
