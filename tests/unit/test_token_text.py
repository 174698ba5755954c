"""TokenText: tokens come one by one, and their texts together are what the tokenizer decodes at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from attnwidget.capture.token_text import TokenText

CORPUS = ["the cat sat on the mat. it isn't tired", "le garçon naïve déjà vu", "人工知能 は 注意", "hello world"] * 5
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
STRINGS = {
    "empty": "",
    "plain": "the cat sat. it isn't tired",
    "accents": "naïve garçon déjà, e\u0301",
    "CJK": "人工知能は注意、日本語 cat",
    "emoji": "🎉 and 👩‍👩‍👧👍🏽!",
    "flags": "🇫🇷🇯🇵 x",
    "space": "  two  spaces \ttabs\nand\r\n\n\nnewlines ",
    "replacement": "a\ufffdb \ufffd",
    "other planes": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u200b\u202e\u0000",
}


def byte_level() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, special_tokens=["<s>", "</s>"])
    )
    return made


def byte_fallback() -> Tokenizer:
    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    replace, strip = decoders.Replace("▁", " "), decoders.Strip(" ", 1, 0)
    made.decoder = decoders.Sequence([replace, decoders.ByteFallback(), decoders.Fuse(), strip])
    made.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=420, special_tokens=["<unk>", "<s>", "</s>", *BYTES])
    )
    for byte in BYTES:  # as a trained vocabulary holds them: pieces, not special tokens
        made.add_tokens([AddedToken(byte, special=False)])
    return made


def word_piece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.decoder = decoders.WordPiece()
    made.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]", "[CLS]", "[SEP]"])
    )
    return made


def unigram() -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.train_from_iterator(
        CORPUS, trainers.UnigramTrainer(vocab_size=120, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>")
    )
    return made


MAKERS: dict[str, Callable[[], Tokenizer]] = {
    "byte-level BPE": byte_level,
    "BPE with byte fallback": byte_fallback,
    "WordPiece": word_piece,
    "Unigram": unigram,
}


@pytest.fixture(scope="module")
def made() -> dict[str, Tokenizer]:
    return {name: make() for name, make in MAKERS.items()}


def specials(tokenizer: Tokenizer) -> list[int]:
    return [i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special]


def put_all(tokenizer: object, ids: Sequence[int], decoded: Callable[[list[int]], str]) -> tuple[TokenText, list[str]]:
    """Put ids one by one; after each, the text is what is decoded at once, and all spans lie in it."""
    text, shown = TokenText(tokenizer), []  # type: ignore[arg-type]
    for n, token_id in enumerate(ids, start=1):
        shown.append(text.put(token_id))
        assert text.text == decoded(list(ids[:n]))
        assert len(text.spans) == n
        assert all(0 <= start <= end <= len(text.text) for start, end in text.spans)
    assert text.spans == sorted(text.spans)
    assert not any("\ufffd" in each for each in shown)
    assert shown == TokenText(tokenizer).texts(ids)  # type: ignore[arg-type]
    return text, shown


@pytest.mark.parametrize("string", STRINGS.values(), ids=STRINGS)
@pytest.mark.parametrize("name", MAKERS)
def test_texts_together_are_what_is_decoded_at_once(made: dict[str, Tokenizer], name: str, string: str) -> None:
    raw = made[name]
    ids = raw.encode(string).ids
    ids = [specials(raw)[-1], *ids, specials(raw)[-2], *ids]
    put_all(raw, ids, lambda some: raw.decode(some, skip_special_tokens=False))
    fast = PreTrainedTokenizerFast(tokenizer_object=raw, clean_up_tokenization_spaces=True)
    put_all(fast, ids, lambda some: fast.decode(some, clean_up_tokenization_spaces=False))


@pytest.mark.parametrize("name", MAKERS)
def test_ids_without_a_meaning_are_what_they_are_decoded_to(made: dict[str, Tokenizer], name: str) -> None:
    """A model that is not trained says anything, most of all bytes that are no characters."""
    raw, generator = made[name], torch.Generator().manual_seed(0)
    for n_ids in (raw.get_vocab_size(), 264, 6):
        ids = torch.randint(n_ids, (80,), generator=generator).tolist()
        put_all(raw, ids, lambda some: raw.decode(some, skip_special_tokens=False))


@pytest.mark.parametrize("name", MAKERS)
def test_hostile_texts_go_through(made: dict[str, Tokenizer], name: str, hostile_texts: list[str]) -> None:
    raw = made[name]
    for string in hostile_texts:
        ids = raw.encode(string[:60].encode("utf-8", "replace").decode()).ids
        text = TokenText(raw)
        for token_id in ids:
            text.put(token_id)
        assert text.text == raw.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("name", ["byte-level BPE", "BPE with byte fallback"])
def test_tokens_that_share_a_character_share_its_span(made: dict[str, Tokenizer], name: str) -> None:
    raw = made[name]
    ids = [*raw.encode("the").ids, *raw.encode("🎉").ids[-4:]]
    text, shown = put_all(raw, ids, lambda some: raw.decode(some, skip_special_tokens=False))
    assert shown[-4:] == ["…", "…", "…", "🎉"]
    assert text.spans[-4:] == [(3, 4)] * 4


def test_bytes_that_never_become_a_character_are_dots(made: dict[str, Tokenizer]) -> None:
    raw = made["BPE with byte fallback"]
    ids = [raw.token_to_id(piece) for piece in ("<0xE4>", "<0xBD>", "<0xA0>", "<0xE5>", "▁the")]
    text, shown = put_all(raw, ids, lambda some: raw.decode(some, skip_special_tokens=False))
    assert shown == ["…", "…", "你", "…", " the"]  # what was said is said, though the run is broken
    assert text.spans[-1] == (4, 8)
    assert text.text == "\ufffd" * 4 + " the"


def test_spaces_are_where_decoding_puts_them(made: dict[str, Tokenizer]) -> None:
    for name in ("byte-level BPE", "BPE with byte fallback", "Unigram", "WordPiece"):
        shown = TokenText(made[name]).texts(made[name].encode("the cat").ids)
        assert "".join(shown) == "the cat"
        assert any(each.startswith(" c") for each in shown) or " " in shown


def test_special_tokens_have_their_name(made: dict[str, Tokenizer]) -> None:
    raw = made["WordPiece"]
    ids = [raw.token_to_id(piece) for piece in ("[CLS]", "the", "[SEP]")]
    assert TokenText(raw).texts(ids) == ["[CLS]", " the", "[SEP]"]
    assert TokenText(raw).texts(ids[:1]) == ["[CLS]"]
    raw = made["byte-level BPE"]
    half = raw.encode("🎉").ids[0]
    assert TokenText(raw).texts([half, raw.token_to_id("</s>")]) == ["…", "</s>"]


@pytest.mark.parametrize("name", MAKERS)
def test_an_id_out_of_range_is_its_number(made: dict[str, Tokenizer], name: str) -> None:
    for tokenizer in (made[name], PreTrainedTokenizerFast(tokenizer_object=made[name])):
        the = made[name].encode("the").ids
        text = TokenText(tokenizer)
        shown = [text.put(token_id) for token_id in (-100, *the, 99_999, 2**70)]
        assert (shown[0], *shown[-2:]) == ("<-100>", "<99999>", f"<{2**70}>")
        assert (text.text, text.spans[0], text.spans[-1]) == ("the", (0, 0), (3, 3))


def test_a_tokenizer_in_python_goes_through() -> None:
    tokenizer = ByT5Tokenizer()
    ids = tokenizer("naïve 🎉 x").input_ids
    text, shown = put_all(tokenizer, ids, lambda some: tokenizer.decode(some, clean_up_tokenization_spaces=False))
    assert (text.text, shown[-1]) == ("naïve 🎉 x</s>", "</s>")


def test_anything_that_decodes_will_do() -> None:
    class Characters:
        def decode(self, ids: list[int]) -> str:
            return "".join(map(chr, ids))

    assert TokenText(Characters()).texts([99, 0x1F389, -1]) == ["c", "🎉", "<-1>"]


def test_without_a_tokenizer_ids_are_texts() -> None:
    text = TokenText(None)
    assert [text.put(token_id) for token_id in torch.tensor([5, 71])] == ["5", "71"]
    assert (text.text, text.spans) == ("5 71", [(0, 1), (1, 4)])
    assert text.texts([]) == []
    assert TokenText(None).text == ""


def test_what_is_no_tokenizer_and_no_id_is_told() -> None:
    with pytest.raises(TypeError, match="str came, an object with decode"):
        TokenText("gpt2")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Tensor came, a whole number was expected. Of a batch take one example"):
        TokenText(None).texts(torch.zeros(2, 3, dtype=torch.long))  # type: ignore[arg-type]
