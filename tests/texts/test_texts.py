"""Every language says everything, with the same fields, and knows the words of the other rooms."""

from __future__ import annotations

import re

import pytest

from emollm import texts
from emollm.encoders import cues
from emollm.motion import _MOVES, _RISES
from emollm.texts import Words, chosen, languages, table

OTHERS = [code for code in languages() if code != texts.ENGLISH]


def fields(text: object) -> set[str]:
    return set(re.findall(r"{(\w+)}", str(text)))


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_is_complete(code: str) -> None:
    english, other = table(texts.ENGLISH), table(code)
    assert {k for k in english if not k.startswith(("phrase.", "fault."))} == {k for k in other if not k.startswith(("phrase.", "fault."))}
    assert not [k for k in english if fields(english[k]) != fields(other[k])]
    assert not [k for k, v in english.items() if isinstance(v, list) and len(v) != len(other[k])]


@pytest.mark.parametrize("code", OTHERS)
def test_cues_and_movements_are_translated(code: str) -> None:
    said = [word for name in (cues._FACE_WORDS, cues._VOICE_WORDS) for row in name.values() for word in (row[1], row[3]) if word]
    said += [one.removeprefix("the ") for _, one in _RISES.values()] + [one.removeprefix("the person ") for one in _MOVES.values()]
    words = Words(code)
    assert not [one for one in said if words.phrase(one) == one]


def test_german_phrases_with_numbers_and_sides() -> None:
    german = Words("de")
    assert german.phrase("no face was found in 66 frames") == "in 66 Bildern wurde kein Gesicht gefunden"
    assert german.phrase("cheeks rise on the left side") == "Wangen heben sich auf der linken Seite"
    assert german.phrase("something new") == "something new"
    assert german.fault("x.mp4 cannot be read", "media_unreadable") == "Diese Datei lässt sich nicht lesen. (x.mp4 cannot be read)"
    assert german.joined(["a", "b", "c"]) == "a, b und c"


def test_the_language_is_the_one_asked_for_then_the_browsers_then_english() -> None:
    assert chosen("de", "en") == "de"
    assert chosen(None, "fr-CH, de-AT;q=0.8, en;q=0.5") == "de"
    assert chosen("xx", "fr") == "en" and chosen(None, None) == "en"
