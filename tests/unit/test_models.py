"""Every system has one surface, says what is wrong with an input, and the shipped models translate and align."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace
from importlib import resources
from pathlib import Path
from string import ascii_lowercase

import pytest
import torch

from attnwidget import models, tasks
from attnwidget.models import AdditiveNetwork, Card, Sizes, System, Translator
from attnwidget.models.files import load, save
from attnwidget.models.reader import Reader
from attnwidget.models.training.courses import COURSES

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ["dates", "numbers-de", "reverse"]
SIZES = Sizes(n_source=7, n_target=6, d_embed=3, d_encoder=4, d_model=11, d_align=9, d_output=10)


@pytest.fixture
def network() -> AdditiveNetwork:
    torch.manual_seed(0)
    return AdditiveNetwork(SIZES, dropout=0.5).eval()


@pytest.fixture
def translator(network: AdditiveNetwork) -> Translator:
    return Translator(
        network, reader=Reader(tuple("abcdefg"), list, "abc", longest=3), target_words="vwxyz", longest_target=4
    )  # fmt: skip


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shipped(name: str) -> System:
    return models.pretrained(name)


def test_on_token_sees_each_step_and_the_end(name: str, shipped: System) -> None:
    (example,) = COURSES[name].unseen(11, 1)
    seen: list[str] = []
    tops: list[list[tuple[str, float]]] = []

    def on_token(token: str, *, candidates: list[tuple[str, float]]) -> None:
        seen.append(token)
        tops.append(candidates)

    words = shipped.run(shipped.encode(example), on_token=on_token)
    assert seen == [*words, "·"]
    for token, candidates in zip(seen, tops, strict=True):
        assert candidates[0][0] == token
        assert len(candidates) == 4
        assert sum(probability for _, probability in candidates) <= 1 + 1e-6


def test_there_is_one_key_for_each_word_passed_in(name: str, shipped: System) -> None:
    (example,) = COURSES[name].unseen(11, 1)
    assert {len(step.weights) for step in shipped.steps(shipped.encode(example))} == {len(example.source)}


def test_run_stops_at_max_steps_and_puts_the_mode_back(translator: Translator) -> None:
    translator.train()
    assert len(translator.run(translator.encode("ab"), max_steps=1)) <= 1
    assert translator.training


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (7, TypeError, "a int came: expected a text, a list of words"),
        (["a", 7], TypeError, "word 1 is a int"),
        ([], ValueError, "the source is empty"),
        ("", ValueError, "the source is empty"),
        (["a", "secret"], ValueError, "word 1 is not among the 7 words"),
    ],
)
def test_encode_says_what_is_wrong_and_quotes_no_word(
    translator: Translator, words: str | list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        translator.encode(words)
    assert "secret" not in str(caught.value)


def test_steps_refuses_what_encode_did_not_return(translator: Translator) -> None:
    with pytest.raises(TypeError, match=r"a str came: expected what model\.encode\(typed\) returns"):
        translator.run("abc")  # type: ignore[arg-type]


def test_available_prints_as_a_table_and_escapes_it() -> None:
    cards = models.available()
    assert [line.split()[0] for line in repr(cards).splitlines()] == ["model", *(card.name for card in cards)]
    nasty = models.Cards([replace(cards[0], name="<b>")])
    assert "&lt;b&gt;" in nasty._repr_html_()
    assert "<b>" not in nasty._repr_html_()


def test_an_input_of_another_model_is_refused_before_decoding() -> None:
    numbers, letters, sorter = (models.pretrained(name) for name in ("numbers-de", "reverse", "pointer"))
    for model, other in ((letters, numbers), (sorter, numbers), (numbers, sorter)):
        with pytest.raises(
            ValueError, match=r"the input has words that this model does not know: expected what its own"
        ):
            model.run(other.encode(other.example))


def test_steps_refuses_max_steps_that_is_no_count(translator: Translator) -> None:
    with pytest.raises(TypeError, match="max_steps is a float: expected an int"):
        translator.run(translator.encode("a"), max_steps=2.5)  # type: ignore[arg-type]


def test_steps_refuses_none(translator: Translator) -> None:
    with pytest.raises(ValueError, match="max_steps is 0: expected 1 or more"):
        translator.run(translator.encode("a"), max_steps=0)


def test_a_source_longer_than_in_training_warns_once_and_is_decoded(translator: Translator) -> None:
    with pytest.warns(UserWarning, match="has 4 words, but the longest in training had 3") as caught:
        translator.run(translator.encode("abcd"), max_steps=2)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        translator.run(translator.encode("abc"), max_steps=2)


def test_saved_and_loaded_translator_decodes_the_same(translator: Translator, tmp_path: Path) -> None:
    translator.network.load_state_dict({name: t.half().float() for name, t in translator.network.state_dict().items()})
    card = Card("tiny", "reverse", "none", 1, 0, 0.5, 0.25, 0.0, 1.0, 0)
    save(translator, tmp_path / "tiny.safetensors", card=card)
    again = load(tmp_path / "tiny.safetensors")
    for old, new in zip(translator.steps(translator.encode("ac")), again.steps(again.encode("ac")), strict=True):
        assert old.candidates == new.candidates
        assert torch.equal(old.weights, new.weights)


def test_shipped_model_is_right_and_aligned_on_unseen_inputs(name: str, shipped: System) -> None:
    quality = models.measure(shipped, COURSES[name].unseen(12, 100))
    assert quality.exact_match >= 0.95
    assert quality.alignment is not None
    assert quality.alignment >= 0.95


def test_shipped_number_model_knows_every_short_number() -> None:
    model = models.pretrained("numbers-de")
    examples = [tasks.numbers_de.example(value, with_and=False) for value in (*range(101), 200, 1_000, 1_001, 9_999)]
    assert models.measure(model, examples).exact_match >= 0.98


def test_shipped_reverse_model_knows_single_letters() -> None:
    model = models.pretrained("reverse")
    assert [model.run(model.encode([letter])) for letter in ascii_lowercase] == [[letter] for letter in ascii_lowercase]


def test_shipped_reverse_model_knows_repeated_letters_of_every_length() -> None:
    model = models.pretrained("reverse")
    for letter in "aez":
        for length in range(1, 13):
            assert model.run(model.encode(letter * length)) == [letter] * length
    assert "".join(model.run(model.encode("abbabaabaabb"))) == "bbaabaababba"


def test_shipped_date_model_reads_leap_days_and_the_first_and_last_day() -> None:
    model = models.pretrained("dates")
    days = {"February 29, 2024": "2024-02-29", "2/29/2000": "2000-02-29", "1.1.1000": "1000-01-01"}
    for text, iso in {**days, "31 Dec 2999": "2999-12-31"}.items():
        assert "".join(model.run(model.encode(text))) == iso


def test_inputs_far_longer_than_in_training_warn_and_are_decoded_to_some_end() -> None:
    for name, typed in (("reverse", "ab" * 40), ("pointer", " ".join(map(str, range(40))))):
        model = models.pretrained(name)
        with pytest.warns(UserWarning, match="but the longest in training had"):
            inputs = model.encode(typed)
        assert 1 <= len(model.run(inputs)) <= model.most_steps(inputs)


def test_every_number_network_says_zero_and_the_largest_number() -> None:
    for name, course in COURSES.items():
        if course.task == "numbers-de":
            model = models.pretrained(name)
            assert model.run(model.encode("0")) == ["null"]
            assert " ".join(model.run(model.encode("9999"))) == "neun tausend neun hundert neun und neunzig"


def test_shipped_date_model_reads_typed_dates() -> None:
    model = models.pretrained("dates")
    for text in ("Wednesday, March 3rd, 2021", "3 mar 2021", "3/3/2021", "2021 march 3", "3.3.2021"):
        assert "".join(model.run(model.encode(text))) == "2021-03-03"


def test_available_describes_what_pretrained_loads() -> None:
    cards = models.available()
    assert {card.name for card in cards} == set(COURSES)
    for card in cards:
        model, course = models.pretrained(card.name), COURSES[card.name]
        assert card.parameters == sum(tensor.numel() for tensor in model.parameters())
        assert (card.task, card.paper) == (course.task, course.paper)
        assert "arXiv" in card.paper
        assert model.run(model.encode(model.example))


def test_shipped_files_are_float16_and_small_enough_together() -> None:
    shelf = resources.files("attnwidget") / "weights"
    for card in models.available():
        assert card.bytes == len((shelf / f"{card.name}.safetensors").read_bytes())
        assert 2 * card.parameters < card.bytes < 200_000
    assert sum(path.stat().st_size for path in Path(str(shelf)).rglob("*") if path.is_file()) < 1_200_000


def test_the_twin_without_attention_is_the_same_network_and_fails() -> None:
    twin, seeing = models.pretrained("reverse-no-attention"), models.pretrained("reverse")
    assert sum(p.numel() for p in twin.parameters()) == sum(p.numel() for p in seeing.parameters())
    quality = models.measure(twin, COURSES["reverse"].unseen(12, 100))
    assert quality.exact_match < 0.2
    assert quality.alignment is not None
    assert quality.alignment < 0.4


def test_unknown_model_error_lists_the_names() -> None:
    with pytest.raises(ValueError, match="there is no model 'sums': expected one of agent, captioner, dates, "):
        models.pretrained("sums")


def test_a_file_that_training_did_not_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(ValueError, match=r"text.safetensors has no 'attnwidget' header"):
        models.load(tmp_path / "text.safetensors")
    with pytest.raises(FileNotFoundError):
        models.load(tmp_path / "nothing.safetensors")


def test_a_file_of_another_kind_is_refused(translator: Translator, tmp_path: Path) -> None:
    translator.kind = "oracle"  # type: ignore[misc]
    save(translator, tmp_path / "odd.safetensors", card=models.available()[0])
    with pytest.raises(ValueError, match="holds a system of kind 'oracle': expected one of translator"):
        models.load(tmp_path / "odd.safetensors")


def test_a_target_word_may_not_be_the_end_mark(network: AdditiveNetwork) -> None:
    with pytest.raises(ValueError, match="target word 1 is '·', the end mark"):
        Translator(network, reader=Reader(("a",), list, "a"), target_words=["b", "·"])


def test_importing_models_imports_no_torch() -> None:
    code = (
        "import sys, attnwidget.models as m; m.available(); sys.exit('torch' in sys.modules or 'tqdm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
