"""What no source file and no bundle of ours may contain; each rule has a bad example that it must find."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "attnwidget"
SOURCES = ROOT / "js" / "src"
BUNDLES = tuple(PACKAGE / "static" / f"{name}.js" for name in ("widget", "standalone", "loader"))

MAX_LINES = 250
MAX_BUNDLE_BYTES = 154_000
CITABLE = {"arxiv.org", "doi.org", "github.com", "www.w3.org", "aclanthology.org"}
NAMESPACES = {"www.w3.org"}

FORBIDDEN = {
    ".py": [
        r"^\s*(?:import|from)\s+(?:pickle|cPickle|dill|cloudpickle|marshal|shelve)\b",
        r"\ballow_pickle\s*=\s*True",
        r"\btorch\.load\b",
        r"(?<![.\w])(?:eval|exec)\s*\(",
    ],
    ".ts": [
        r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|srcdoc)\b",
        r"\bdocument\.write",
        r"(?<![.\w])eval\s*\(",
        r"\b(?:window|globalThis)\.eval\b",
        r"\bnew\s+Function\b",
    ],
}
FORBIDDEN[".js"] = FORBIDDEN[".ts"]


def forbidden_calls(text: str, suffix: str) -> list[str]:
    """Return what would read HTML, code or pickles out of data."""
    return [found.group().strip() for rule in FORBIDDEN[suffix] for found in re.finditer(rule, text, re.MULTILINE)]


def too_many_lines(text: str) -> int:
    """Return by how many lines a file is over the ceiling; 0 if it is not."""
    return max(0, len(text.splitlines()) - MAX_LINES)


def stray_addresses(text: str, suffix: str) -> list[str]:
    """Return every web address but citations in comments and docstrings, and XML namespaces anywhere."""
    stray = [host for host in _hosts(text) if host not in CITABLE]
    code = {".py": _without_python_prose, ".ts": _without_js_comments, ".css": _without_css_comments}.get(suffix)
    return stray + [host for host in _hosts(code(text) if code else text) if host in CITABLE - NAMESPACES]


def unscoped_selectors(css: str) -> list[str]:
    """Return each selector, in every comma list, that does not start with .attnwidget; keyframe steps are none."""
    found: list[str] = []
    blocks: list[str] = []
    start = 0
    text = _without_css_comments(css)
    for place, mark in enumerate(text):
        if mark == "{":
            prelude = text[start:place].strip()
            inside = next((block for block in reversed(blocks) if block), "")
            if prelude.startswith("@"):
                blocks.append(prelude if prelude.startswith("@keyframes") else "")
            else:
                if not inside.startswith("@keyframes"):
                    scoped = r"&|\.attnwidget\b" if inside else r"\.attnwidget\b"
                    found += [part for part in _comma_list(prelude) if not re.match(scoped, part)]
                blocks.append(prelude)
        elif mark == "}":
            blocks.pop()
        if mark in "{};":
            start = place + 1
    return found


def _comma_list(selectors: str) -> list[str]:
    parts, depth = [""], 0
    for mark in selectors:
        depth += (mark in "([") - (mark in ")]")
        if mark == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += mark
    return [part.strip() for part in parts]


def _hosts(text: str) -> list[str]:
    return re.findall(r"(?:https?|wss?)://([A-Za-z0-9.-]+)", text)


def _without_python_prose(text: str) -> str:
    """Return the code without comments and without strings that are a statement of their own."""
    kept: list[str] = []
    at_start = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and at_start):
            continue
        if token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            at_start = True
        elif token.type not in (tokenize.NL, tokenize.ENCODING):
            at_start = False
        kept.append(token.string)
    return " ".join(kept)


def _without_js_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/|(?<![:\w])//[^\n]*", "", text, flags=re.DOTALL)


def _without_css_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def sources() -> Iterator[Path]:
    """Yield every hand-written or generated source file that is shipped."""
    yield from PACKAGE.rglob("*.py")
    yield from SOURCES.rglob("*.ts")
    yield from SOURCES.rglob("*.css")


def faults(check: Callable[[Path], object], files: Iterator[Path] | tuple[Path, ...]) -> dict[str, object]:
    """Return the outcome of a check by file, for those files where there is one."""
    outcomes = {path.relative_to(ROOT).as_posix(): check(path) for path in files}
    assert outcomes, "no file was found to check"
    return {name: outcome for name, outcome in outcomes.items() if outcome}


def bundle(path: Path) -> str:
    """Return a bundle's text."""
    assert path.is_file(), f"{path.relative_to(ROOT)} is missing: run make build first"
    return path.read_text()


def test_no_source_reads_html_code_or_pickles_out_of_data() -> None:
    files = (path for path in sources() if path.suffix in FORBIDDEN)
    assert faults(lambda path: forbidden_calls(path.read_text(), path.suffix), files) == {}


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_no_bundle_reads_html_or_code_out_of_data(path: Path) -> None:
    assert forbidden_calls(bundle(path), ".js") == []


def test_no_source_file_is_over_the_ceiling() -> None:
    written = [path for path in sources() if path.name != "wire.gen.ts"]
    assert faults(lambda path: too_many_lines(path.read_text()), written) == {}


def test_every_selector_starts_with_our_name() -> None:
    assert faults(lambda path: unscoped_selectors(path.read_text()), SOURCES.rglob("*.css")) == {}


def test_no_source_holds_an_address() -> None:
    assert faults(lambda path: stray_addresses(path.read_text(), path.suffix), sources()) == {}


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_no_bundle_holds_an_address(path: Path) -> None:
    assert stray_addresses(bundle(path), ".js") == []


def test_the_widget_bundle_is_small() -> None:
    assert len(bundle(BUNDLES[0]).encode()) < MAX_BUNDLE_BYTES


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".py", "import pickle"),
        (".py", "    from marshal import loads"),
        (".py", "np.load(path, allow_pickle=True)"),
        (".py", "state = torch.load(path)"),
        (".py", "x = eval(text)"),
        (".ts", "host.innerHTML = text;"),
        (".ts", "host.insertAdjacentHTML('beforeend', text);"),
        (".ts", "document.write(text);"),
        (".ts", "eval(text);"),
        (".js", "let f=new Function(t)"),
    ],
)
def test_a_forbidden_call_is_found(suffix: str, text: str) -> None:
    assert len(forbidden_calls(text, suffix)) == 1


def test_a_model_may_be_set_to_evaluation() -> None:
    assert forbidden_calls("model.eval()", ".py") == []


def test_a_long_file_is_found() -> None:
    assert too_many_lines("line\n" * (MAX_LINES + 1)) == 1


@pytest.mark.parametrize(
    "css",
    [
        ".attnwidget, canvas { color: red }",
        "@media (width < 900px) { .cell { color: red } }",
        ":root { --x: 1 }",
        ".attnwidget { & p { color: red } span { color: red } }",
    ],
)
def test_an_unscoped_selector_is_found(css: str) -> None:
    assert len(unscoped_selectors(css)) == 1


@pytest.mark.parametrize(
    "css",
    [
        ".attnwidget-cell[data-gaze]:is(a, b), .attnwidget { color: red; }",
        "/* canvas { } */ @media print { .attnwidget { color: red } }",
        "@keyframes attnwidget-pulse { from { opacity: 0 } 50%, to { opacity: 1 } } .attnwidget { color: red }",
        ".attnwidget { &:hover { color: red } }",
    ],
)
def test_a_scoped_selector_passes(css: str) -> None:
    assert unscoped_selectors(css) == []


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".py", '"""Source: https://example.com/paper."""'),
        (".py", 'PAGE = "https://github.com/a/b"'),
        (".ts", 'fetch("https://example.com/x");'),
        (".ts", 'const page = "https://doi.org/10";'),
        (".css", '.attnwidget { background: url("https://example.com/x") }'),
        (".js", 'let u="https://github.com/a"'),
    ],
)
def test_a_stray_address_is_found(suffix: str, text: str) -> None:
    assert len(stray_addresses(text, suffix)) == 1


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".py", '"""Source: https://arxiv.org/abs/1409.0473."""\nX = 1  # https://github.com/a/b/issues/1'),
        (".ts", '// https://github.com/a/b/issues/1\nconst SVG = "http://www.w3.org/2000/svg";'),
    ],
)
def test_a_citation_passes(suffix: str, text: str) -> None:
    assert stray_addresses(text, suffix) == []
