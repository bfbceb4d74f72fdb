"""Tokens to text: whole characters, and stop strings wherever pieces are cut."""

import pytest
from toys import END, TOKENIZER, ids_of

from emollm.engine.text import Speech, token_bytes


class Letters:
    """A tokenizer whose tokens are given strings."""

    def __init__(self, pieces):
        self._pieces = pieces

    def decode(self, ids, **_):
        return "".join(self._pieces[i] for i in ids)


@pytest.mark.parametrize(
    ("pieces", "stops", "kept", "met"),
    [
        (["ab", "cd"], (), "abcd", False),
        (["ab", "cd", "ef"], ("cd",), "ab", True),
        (["a<", "en", "d> b"], ("<end>",), "a", True),
        (["a<", "eno"], ("<end>",), "a<eno", False),
        (["ab", "<e"], ("<end>",), "ab<e", False),
        (["aXbY"], ("Y", "X"), "a", True),
    ],
)
def test_stop_strings_across_pieces(pieces, stops, kept, met):
    speech = Speech(Letters(pieces), stops)
    said = []
    for i in range(len(pieces)):
        said.append(speech.push(i))
        if speech.stopped:
            break
    assert "".join([*said, speech.rest()]) == kept and speech.stopped == met


def test_characters_are_never_cut():
    text = "na\u00efve \U0001f600 caf\u00e9"
    speech = Speech(TOKENIZER)
    pieces = [speech.push(t) for t in ids_of(text)]
    assert "".join([*pieces, speech.rest()]) == text and "\U0001f600" in pieces
    half = Speech(TOKENIZER)
    assert [half.push(t) for t in ids_of("\U0001f600")[:2]] == ["", ""] and half.rest() == "\N{REPLACEMENT CHARACTER}"


def test_the_bytes_of_tokens_are_those_of_the_text():
    text = "naïve 👩‍👩‍👧 \n{x}"
    ids = TOKENIZER(text)["input_ids"]
    assert bytes(b for token in ids for b in token_bytes(TOKENIZER, token)).decode() == text
    assert bytes(token_bytes(TOKENIZER, END)).decode() == TOKENIZER.convert_ids_to_tokens(END)
