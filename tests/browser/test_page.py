"""An exported page: every view is alive, says what was recorded, and asks no network for anything."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import attnwidget as aw

N_QUERIES, N_KEYS = 4, 5
GRID = ".attnwidget-heatmap-grid"
STEP = ".attnwidget-step-label"
TIP = ".attnwidget-tip"


def make_weights(n_queries: int = N_QUERIES, n_keys: int = N_KEYS, n_heads: int = 1, seed: int = 2) -> np.ndarray:
    weights = np.random.default_rng(seed).random((n_heads, n_queries, n_keys)).astype(np.float32) ** 3
    return weights / weights.sum(-1, keepdims=True)


def make_trace(weights: np.ndarray, title: str = "") -> aw.Trace:
    """A decoded trace with candidates, one step for each query."""
    n_heads, n_queries, n_keys = weights.shape
    trace = aw.Trace(source=[f"in{i}" for i in range(n_keys)], title=title)
    trace.add_site(aw.Site("cross", "cross", 0, n_heads, "target", "source"))
    for q in range(n_queries):
        candidates = [(f"out{q}", 0.75), ("other", 0.2), ("rare", 0.001)]
        trace.append({"cross": weights[:, q : q + 1]}, token=f"out{q}", candidates=candidates)
    trace.finish()
    return trace


def open_page(page: Page, trace: aw.Trace, folder: Path) -> None:
    trace.to_html(folder / "page.html")
    page.goto((folder / "page.html").as_uri())
    page.locator(".attnwidget[data-rows]").wait_for()


@pytest.fixture
def weights() -> np.ndarray:
    return make_weights()


@pytest.fixture
def opened(page: Page, weights: np.ndarray, tmp_path: Path) -> Page:
    open_page(page, make_trace(weights, title="a title"), tmp_path)
    return page


def cell_middle(
    page: Page, query: int, key: int, n_queries: int = N_QUERIES, n_keys: int = N_KEYS
) -> tuple[float, float]:
    box = page.locator(GRID).bounding_box()
    assert box is not None
    return box["width"] * (key + 0.5) / n_keys, box["height"] * (query + 0.5) / n_queries


def hover(page: Page, query: int, key: int) -> None:
    x, y = cell_middle(page, query, key)
    page.locator(GRID).hover(position={"x": x, "y": y})


def test_it_asks_nothing_of_any_network(page: Page, weights: np.ndarray, tmp_path: Path) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    open_page(page, make_trace(weights), tmp_path)
    hover(page, 1, 2)
    assert [url for url in requests if not url.startswith("file:")] == []


def test_it_opens_on_the_last_step(opened: Page) -> None:
    expect(opened.locator(STEP)).to_have_text("step 4 of 4")


def test_hovering_a_cell_tells_its_weight(opened: Page, weights: np.ndarray) -> None:
    for query in range(N_QUERIES):
        for key in range(N_KEYS):
            hover(opened, query, key)
            expect(opened.locator(TIP)).to_have_text(re.compile(rf"^out{query} → in{key}: "))
            told = float(opened.locator(TIP).inner_text().rpartition(" ")[2])
            assert told == pytest.approx(float(weights[0, query, key]), rel=1e-5)


def test_hovering_lights_every_view_in_one_frame(opened: Page) -> None:
    x, y = cell_middle(opened, 1, 3)
    lit = opened.evaluate(
        """([x, y]) => new Promise((resolve) => {
          const grid = document.querySelector(".attnwidget-heatmap-grid");
          const box = grid.getBoundingClientRect();
          const place = { clientX: box.x + x, clientY: box.y + y, bubbles: true };
          grid.dispatchEvent(new PointerEvent("pointermove", place));
          requestAnimationFrame(() => queueMicrotask(() => resolve({
            input: document.querySelectorAll(".attnwidget-input [data-gaze]").length,
            output: document.querySelectorAll(".attnwidget-output [data-gaze]").length,
            bar: document.querySelectorAll(".attnwidget-strength-bar[data-gaze]").length,
            row: document.querySelectorAll(".attnwidget-row-label[data-gaze]").length,
            column: document.querySelectorAll(".attnwidget-column-label[data-gaze]").length,
            cell: document.querySelectorAll(".attnwidget-heatmap-cell[data-gaze]").length,
            tip: document.querySelector(".attnwidget-tip:not([hidden])") ? 1 : 0,
          })));
        })""",
        [x, y],
    )
    assert lit == {"input": 1, "output": 1, "bar": 1, "row": 1, "column": 1, "cell": 1, "tip": 1}


def test_the_grid_cell_names_row_column_and_weight(opened: Page, weights: np.ndarray) -> None:
    grid = opened.get_by_role("grid")
    grid.focus()
    grid.press("ArrowUp")
    grid.press("ArrowRight")
    cell = opened.get_by_role("gridcell")
    expect(cell).to_have_attribute("aria-rowindex", "3")
    expect(cell).to_have_attribute("aria-colindex", "2")
    name = cell.get_attribute("aria-label") or ""
    assert name.startswith("row 3, out2; column 2, in1; weight ")
    assert float(name.rpartition(" ")[2]) == pytest.approx(float(weights[0, 2, 1]), rel=1e-5)
    assert (grid.get_attribute("aria-rowcount"), grid.get_attribute("aria-colcount")) == ("4", "5")


def test_darker_pixels_are_larger_weights(opened: Page, weights: np.ndarray) -> None:
    opened.mouse.move(0, 0)
    pixels = opened.evaluate(
        """([rows, columns]) => {
          const canvas = document.querySelector(".attnwidget-heatmap-canvas");
          const context = canvas.getContext("2d");
          const at = (r, c) => {
            const [x, y] = [((c + 0.5) / columns) * canvas.width, ((r + 0.2) / rows) * canvas.height];
            return [...context.getImageData(x, y, 1, 1).data];
          };
          return Array.from({ length: rows * columns }, (_, i) => at(Math.floor(i / columns), i % columns));
        }""",
        [N_QUERIES, N_KEYS],
    )
    brightness = np.array(pixels)[:, :3].sum(1)
    order = np.argsort(weights[0].ravel())
    assert (np.diff(brightness[order]) <= 0).all()


def test_a_click_locks_and_a_second_lets_go(opened: Page) -> None:
    token = opened.locator(".attnwidget-input .attnwidget-token").nth(2)
    token.click()
    opened.mouse.move(0, 0)
    expect(token).to_have_attribute("aria-selected", "true")
    expect(opened.locator(".attnwidget-strength-bar[data-gaze]")).to_have_count(1)
    token.click()
    opened.mouse.move(0, 0)
    expect(token).to_have_attribute("aria-selected", "false")


def test_the_step_slider_moves_every_view(opened: Page, weights: np.ndarray) -> None:
    slider = opened.get_by_role("slider", name="step")
    slider.focus()
    slider.press("Home")
    slider.press("ArrowRight")
    expect(opened.locator(STEP)).to_have_text("step 2 of 4")
    assert slider.get_attribute("aria-valuetext") == "step 2 of 4, out1"
    strongest = int(weights[0, 1].argmax())
    expect(opened.locator(".attnwidget-sentence-text")).to_contain_text("Step 2, “out1”: ")
    expect(opened.locator(".attnwidget-sentence-text")).to_contain_text(f"of the attention is on “in{strongest}”.")
    ghosts = opened.locator(".attnwidget-output .attnwidget-token[data-ghost]")
    expect(ghosts).to_have_count(2)


def test_strength_is_the_sum_of_the_steps_so_far(opened: Page, weights: np.ndarray) -> None:
    opened.get_by_role("button", name="previous step").click()
    values = opened.locator(".attnwidget-strength-value").all_text_contents()
    told = [float(text.split()[0]) for text in values]
    assert told == pytest.approx(weights[0, :3].sum(0), abs=0.006)


def test_play_goes_to_the_end_and_stops(opened: Page) -> None:
    opened.get_by_label("speed").select_option("16")
    opened.get_by_role("button", name="first step").click()
    opened.get_by_role("button", name="play").click()
    expect(opened.locator(STEP)).to_have_text("step 4 of 4")
    expect(opened.get_by_role("button", name="play")).to_be_visible()


def test_candidates_stand_with_their_probabilities(opened: Page) -> None:
    rows = opened.locator(".attnwidget-candidate").all_inner_texts()
    assert [re.sub(r"\s+", " ", row) for row in rows] == ["out3 75 %", "other 20 %", "rare 0.1 %"]


def test_heads_can_be_chosen_and_their_mean(page: Page, tmp_path: Path) -> None:
    weights = make_weights(n_heads=3)
    open_page(page, make_trace(weights), tmp_path)
    head = page.get_by_label("head", exact=True)
    assert head.locator("option").all_inner_texts() == ["mean of 3", "1 of 3", "2 of 3", "3 of 3"]
    for choice, expected in (("-1", weights.mean(0)), ("2", weights[2])):
        head.select_option(choice)
        hover(page, 2, 1)
        told = float(page.locator(TIP).inner_text().rpartition(" ")[2])
        assert told == pytest.approx(float(expected[2, 1]), rel=1e-4)


def test_layers_can_be_chosen(page: Page, tmp_path: Path) -> None:
    weights = np.stack([make_weights(seed=seed, n_heads=3) for seed in (4, 5)])
    source, target = [f"in{i}" for i in range(N_KEYS)], [f"out{i}" for i in range(N_QUERIES)]
    open_page(page, aw.Trace.from_weights(weights, source=source, target=target), tmp_path)
    page.get_by_label("layer", exact=True).select_option(label="2 of 2")
    page.get_by_label("head", exact=True).select_option("1")
    hover(page, 3, 2)
    told = float(page.locator(TIP).inner_text().rpartition(" ")[2])
    assert told == pytest.approx(float(weights[1, 1, 3, 2]), rel=1e-4)


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        (np.nan, "1 weight is NaN"),
        (np.inf, "1 weight is infinite"),
        (-0.5, "1 weight is negative"),
        (3.0, "1 weight is above 1"),
    ],
)
def test_odd_weights_are_flagged_with_count_and_place(page: Page, tmp_path: Path, value: float, flag: str) -> None:
    weights = make_weights()
    weights[0, 2, 3] = value
    open_page(page, make_trace(weights), tmp_path)
    expect(page.locator(".attnwidget-flags")).to_contain_text(f"{flag} (head 1, row 3, column 4)")
    hover(page, 2, 3)
    expect(page.locator(TIP)).to_contain_text("in3: ")


def test_one_cell_is_drawn(page: Page, tmp_path: Path) -> None:
    open_page(page, make_trace(np.ones((1, 1, 1), np.float32)), tmp_path)
    expect(page.locator(STEP)).to_have_text("step 1 of 1")
    expect(page.locator(".attnwidget-sentence-text")).to_contain_text("100 % of the attention is on “in0”")


def test_many_tokens_share_cells_until_zoomed(page: Page, tmp_path: Path) -> None:
    open_page(page, make_trace(make_weights(300, 700)), tmp_path)
    note = page.locator(".attnwidget-heatmap .attnwidget-note")
    expect(note).to_contain_text("each cell shows the maximum of up to")
    for _ in range(4):
        page.get_by_role("button", name="zoom in").click()
    expect(note).to_have_text("")
    page.get_by_role("button", name="show everything").click()
    expect(note).to_contain_text("each cell shows the maximum of up to")


@pytest.mark.parametrize(("width", "below"), [(1400, False), (800, True)])
def test_the_panel_goes_below_on_a_narrow_page(
    page: Page, weights: np.ndarray, tmp_path: Path, width: int, below: bool
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    open_page(page, make_trace(weights), tmp_path)
    panel, picture = (page.locator(f".attnwidget-{name}").bounding_box() for name in ("panel", "picture"))
    assert panel is not None
    assert picture is not None
    assert (panel["y"] >= picture["y"] + picture["height"] - 1) is below
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_colour_scheme_live(opened: Page, scheme: str) -> None:
    opened.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    expect(opened.locator(".attnwidget")).to_have_attribute("data-theme", scheme)


def test_a_click_on_a_cell_locks_it_alone_and_escape_lets_go(opened: Page) -> None:
    grid = opened.locator(GRID)
    for query, key in ((1, 2), (2, 4)):
        x, y = cell_middle(opened, query, key)
        grid.click(position={"x": x, "y": y})
    opened.mouse.move(0, 0)
    locked = opened.locator(".attnwidget-input .attnwidget-token[data-locked]")
    expect(opened.locator(STEP)).to_have_text("step 3 of 4")
    expect(locked).to_have_text(["in4"])
    x, y = cell_middle(opened, 2, 0)
    grid.click(position={"x": x, "y": y}, modifiers=["Shift"])
    expect(locked).to_have_text(["in0", "in4"])
    grid.press("Escape")
    expect(locked).to_have_count(0)


def test_rounded_weights_say_how_exact_they_are(page: Page, tmp_path: Path) -> None:
    weights = make_weights(300, 500, n_heads=2)
    open_page(page, make_trace(weights), tmp_path)
    page.get_by_label("head", exact=True).select_option("1")
    cell = page.get_by_role("gridcell")
    page.get_by_role("grid").focus()
    page.get_by_role("grid").press("ArrowRight")
    expect(cell).to_have_attribute("aria-label", re.compile(r"^row 300, out299; column 1, in0; weight (≈|<) "))
    told = (cell.get_attribute("aria-label") or "").rpartition(" ")[2]
    assert float(told) == pytest.approx(float(weights[1, 299, 0]), abs=float(weights[1, 299].max()) / 500)


def test_the_head_that_is_shown_first_is_exact(page: Page, tmp_path: Path) -> None:
    weights = make_weights(150, 300, n_heads=5)
    open_page(page, make_trace(weights), tmp_path)
    page.get_by_role("grid").focus()
    page.get_by_role("grid").press("ArrowRight")
    cell = page.get_by_role("gridcell")
    expect(cell).to_have_attribute("aria-label", re.compile("^row 150, out149; column 1, in0; "))
    told = float((cell.get_attribute("aria-label") or "").rpartition(" ")[2])
    assert told == pytest.approx(float(weights[:, 149, 0].mean()), rel=1e-4)


def test_the_gazed_row_is_named_where_labels_are_thinned(page: Page, tmp_path: Path) -> None:
    open_page(page, make_trace(make_weights(65, 70)), tmp_path)
    expect(page.locator(".attnwidget-row-label[data-gaze]")).to_have_text("out64")
    page.get_by_role("grid").focus()
    page.get_by_role("grid").press("ArrowUp")
    expect(page.locator(".attnwidget-row-label[data-gaze]")).to_have_text("out63")
    expect(page.locator(".attnwidget-column-label[data-gaze]")).to_have_text("in0")


def test_a_trace_without_steps_waits(page: Page, tmp_path: Path) -> None:
    trace = aw.Trace(source=["a", "b"])
    trace.add_site(aw.Site("cross", "cross", 0, 1, "target", "source"))
    open_page(page, trace, tmp_path)
    expect(page.locator(".attnwidget-sentence-text")).to_have_text("Waiting for the first step.")
    expect(page.locator(".attnwidget-heatmap .attnwidget-note")).to_have_text("Waiting for the first step.")


def choose(page: Page, field: str, value: str) -> None:
    page.locator(".attnwidget-panel").get_by_label(field, exact=True).select_option(value)


def test_rows_can_be_inputs(opened: Page, weights: np.ndarray) -> None:
    choose(opened, "rows", "key")
    expect(opened.locator(".attnwidget-row-label").first).to_have_text("in0")
    expect(opened.locator(".attnwidget-column-label").last).to_have_text("out3")
    x, y = cell_middle(opened, 4, 1, n_queries=N_KEYS, n_keys=N_QUERIES)
    opened.locator(GRID).hover(position={"x": x, "y": y})
    expect(opened.locator(TIP)).to_have_text(re.compile(rf"^out1 → in4: {weights[0, 1, 4]:.4f}"))
    cell = opened.locator(".attnwidget-heatmap-cell")
    expect(cell).to_have_attribute("aria-rowindex", "5")
    expect(cell).to_have_attribute("aria-colindex", "2")


BARS = ".attnwidget-strength-drawing"


def wait_for_bars_beside_rows(page: Page) -> None:
    page.wait_for_function(
        "([grid, bars]) => Math.abs(grid.getBoundingClientRect().top - bars.getBoundingClientRect().top) <= 1",
        arg=[page.query_selector(GRID), page.query_selector(BARS)],
    )


def test_bars_stand_beside_rows_that_are_inputs(opened: Page) -> None:
    choose(opened, "rows", "key")
    wait_for_bars_beside_rows(opened)
    grid, bars = opened.locator(GRID).bounding_box(), opened.locator(BARS).bounding_box()
    assert grid is not None
    assert bars is not None
    assert bars["height"] == pytest.approx(grid["height"], abs=1)
    assert bars["x"] > grid["x"] + grid["width"]


def test_bars_stay_beside_their_rows_when_the_diagram_goes(page: Page, tmp_path: Path) -> None:
    open_page(page, make_trace(make_weights()), tmp_path)
    choose(page, "rows", "key")
    wait_for_bars_beside_rows(page)
    page.get_by_role("button", name="hide diagram").click()
    expect(page.get_by_role("button", name="show diagram")).to_be_visible()
    wait_for_bars_beside_rows(page)


def test_what_is_left_out_is_said_and_shared_out(page: Page, weights: np.ndarray, tmp_path: Path) -> None:
    make_trace(weights).to_html(tmp_path / "page.html", special="omit", special_keys=[2])
    page.goto((tmp_path / "page.html").as_uri())
    expect(page.locator(".attnwidget-flags")).to_contain_text("1 special input is left out: the other weights are")
    hover(page, 1, 3)
    expect(page.locator(TIP)).to_contain_text("out1 → in3: ")
    told = float((page.locator(TIP).text_content() or "").split(": ")[1])
    assert told == pytest.approx(weights[0, 1, 3] / (1 - weights[0, 1, 2]), rel=1e-4)


def test_numbers_of_ones_own_are_the_expectation(page: Page, weights: np.ndarray, tmp_path: Path) -> None:
    make_trace(weights).to_html(tmp_path / "page.html", expected=[4, 0, 1, 1, 1])
    page.goto((tmp_path / "page.html").as_uri())
    expect(page.locator(".attnwidget-strength-expected")).to_have_text("your expectation")
    expect(page.locator(".attnwidget-reading")).to_contain_text("weak inputsin0")
    expect(page.locator(".attnwidget-reading")).to_contain_text("strong inputsin1")


def test_numbers_that_do_not_fit_are_said(page: Page, weights: np.ndarray, tmp_path: Path) -> None:
    make_trace(weights).to_html(tmp_path / "page.html", expected=[1, 2])
    page.goto((tmp_path / "page.html").as_uri())
    expect(page.locator(".attnwidget-flags")).to_contain_text("2 numbers came, 5 are needed")


def why_steps(page: Page) -> dict[str, str]:
    page.get_by_role("button", name="Why this weight?").click()
    names, values = page.locator(".attnwidget-why-name"), page.locator(".attnwidget-why-value")
    return dict(zip(names.all_text_contents(), values.all_text_contents(), strict=True))


def test_a_weight_is_explained_down_to_itself(page: Page, tmp_path: Path) -> None:
    model = aw.models.pretrained("luong-general")
    inputs = model.encode(model.example)
    with aw.record(model, source=inputs) as trace:
        model.run(inputs, on_token=aw.step)
    open_page(page, trace, tmp_path)
    steps = why_steps(page)
    assert steps["softmax: the one divided by the other"] == steps["recorded weight"]
    assert "query · key, the sum of their products" in steps
    expect(page.locator(".attnwidget-why-row")).to_have_count(3)


def test_what_was_not_recorded_is_named(opened: Page) -> None:
    assert "Not recorded: scores, query and key. The model handed over weights only." in why_steps(opened)


def test_the_page_of_all_views_is_alive(page: Page) -> None:
    page.goto((Path(__file__).parents[2] / "js" / "demo.html").as_uri())
    expect(page.locator(".attnwidget[data-rows]")).to_have_count(3)
    expect(page.locator(".attnwidget-title")).to_have_text(["numbers-de", "captioner", "transformer"])
    expect(page.locator(".attnwidget-flags:visible")).to_have_count(0)
    for view in ("diagram", "input", "heatmap", "strength", "why"):
        expect(page.locator(f".attnwidget-{view}").first).to_be_visible()
