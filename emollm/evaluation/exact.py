"""Answers to questions that have one exact key: right or wrong by a rule for each kind of question, never by taste.

The kinds are those of `emollm.synth.captions` and of paired faces and voices. What a rule cannot read is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from emollm.evaluation.events import movements, relation
from emollm.evaluation.face_words import TIME
from emollm.evaluation.recognition import parse_label, plain
from emollm.evaluation.temporal import tem

NEAR_S = 0.75  # an answer to "when" may be off by this much
ENOUGH = 0.5  # F1 of movements from which a description counts as right
FEELINGS: Mapping[str, tuple[str, ...]] = {
    "happiness": ("happy", "joy", "joyful"), "sadness": ("sad",), "anger": ("angry",), "fear": ("afraid", "fearful", "scared"),
    "disgust": ("disgusted",), "surprise": ("surprised",), "contempt": ("contemptuous",), "boredom": ("bored",),
    "confusion": ("confused",), "pain": ("in pain",), "embarrassment": ("embarrassed",),
}  # fmt: skip
YES_NO: Mapping[str, tuple[str, ...]] = {  # patterns
    "yes": ("true", "it does(?! not)", "they do(?! not)", "agree", "match"),
    "no": ("false", "does not", "doesn't", "not true", "disagree"),
}
_CHOICE = re.compile(r"which comes first: (.+), or (.+)\?", re.IGNORECASE)
_NOTHING = re.compile(r"\b(?:nothing|no (?:new )?(?:expression|movement|change)|does not move|do not move)\b", re.IGNORECASE)
_PLACES = re.compile(r"\b(left|right|middle|cent(?:er|re)|nobody|no one|none)\b", re.IGNORECASE)
_OPTIONS = re.compile(r"(?:^|\s)\(?([A-H])[.):]\s*(.+?)(?=\s*[,;]?\s+\(?[A-H][.):]|\s*$)", re.DOTALL)
_LETTER = re.compile(r"(?:^|[\s(])([A-H])(?=[).:,;]|\s*$|\s+(?:is|because|as|since)\b)")
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}


def right(
    kind: str, question: str, truth: str, said: str, labels: Sequence[str] = (), forms: Mapping[str, Sequence[str]] | None = None
) -> bool:
    """Whether an answer is right.

    Args:
        kind: Of the question.
        question: As it was put; its wording decides between rules of one kind.
        truth: The key.
        said: The answer.
        labels: For questions whose answer is a label.
        forms: Other words for a label.
    """
    if not said.strip():
        return False
    asked = question.casefold()
    if kind == "multiple choice":
        return _option(said, question) == _option(truth, question) != ""
    if kind == "numerical":
        mine, real = _numbers(said), _numbers(truth)
        return len(mine) == 1 and mine == real  # several numbers name none
    if truth in labels:
        return parse_label(said, labels, forms) == truth
    if asked.startswith("which comes first"):
        return _first(question, said) == _first(question, truth)
    if asked.startswith(("is it true", "do the face")) or truth.casefold() in {"yes", "no"}:
        return yes_or_no(said) == yes_or_no(truth)
    if "before or after" in asked:
        return _word(said, "before|after") == _word(truth, "before|after")
    if kind == "when" or asked.startswith("when"):
        return _near(said, truth)
    if kind == "reasoning":
        return parse_label(said, tuple(FEELINGS), FEELINGS) == next((f for f in FEELINGS if f in truth.casefold()), None)
    if asked.startswith("how many"):
        return _count(said) == _count(truth)
    if asked.startswith("who"):
        return _places(said) == _places(truth)
    return _same_movements(truth, said)


def yes_or_no(text: str) -> str:
    """The first of yes and no, or of what means one of them; "" where there is neither."""
    words = plain(text)
    found = [
        (m.start(), -len(m.group()), name) for name, forms in YES_NO.items() for w in (name, *forms) if (m := re.search(rf"\b{w}\b", words))
    ]
    return min(found)[2] if found else ""


def _option(text: str, question: str) -> str:
    """The one option an answer names, by letter or by words, as its letter; "" where it names none or several."""
    options = {letter.upper(): plain(words) for letter, words in _OPTIONS.findall(question)}
    if (whole := plain(text)) in options.values():
        return next(letter for letter, words in options.items() if words == whole)
    letters = set(_LETTER.findall(text)) & set(options)
    if letters:
        return letters.pop() if len(letters) == 1 else ""
    named = [letter for letter, words in options.items() if words and re.search(rf"\b{re.escape(words)}\b", whole)]
    return named[0] if len(named) == 1 else ""


def _numbers(text: str) -> list[float]:
    found = re.findall(r"-?\d+(?:\.\d+)?|\b(?:" + "|".join(_NUMBERS) + r")\b", text.casefold())
    return [float(_NUMBERS.get(x, x)) for x in dict.fromkeys(found)]


def _word(text: str, options: str) -> str:
    found = re.search(rf"\b(?:{options})\b", text.casefold())
    return found.group() if found else ""


def _near(said: str, truth: str) -> bool:
    mine, real = TIME.search(said), TIME.search(truth)
    return mine is not None and real is not None and abs(_seconds(mine) - _seconds(real)) <= NEAR_S


def _seconds(found: re.Match[str]) -> float:
    return float(found[1]) if found[1] else 60 * float(found[2]) + float(found[3])


def _count(text: str) -> int:
    found = re.search(r"\b(\d+|" + "|".join(_NUMBERS) + r")\b", text.casefold())
    return -1 if found is None else _NUMBERS.get(found[1]) or int(found[1])


def _places(text: str) -> list[str]:
    named = ["middle" if p.startswith("cent") else "nobody" if p in {"no one", "none"} else p for p in _PLACES.findall(text.casefold())]
    return list(dict.fromkeys(named))


def _first(question: str, said: str) -> int | None:
    """Which of the two phrases of a question an answer says to come first: 0, 1, or None where it names neither."""
    found = _CHOICE.search(question)
    if found is None:
        return None
    text = said.casefold()
    places = [_place(phrase, text) for phrase in found.groups()]
    named = [k for k, place in enumerate(places) if place is not None]
    if len(named) < 2 or places[0] == places[1]:
        return named[0] if len(named) == 1 else None
    first = 0 if (places[0] or 0) < (places[1] or 0) else 1
    # "the mouth opens after the brows rise" names the later one first
    between = text[min(p or 0 for p in places) : max(p or 0 for p in places)]
    return 1 - first if re.search(r"\bafter\b(?! that)", between) and not re.search(r"\b(?:then|before)\b", between) else first


def _place(phrase: str, text: str) -> int | None:
    """Where a text names a movement: word for word, else in other words."""
    at = text.find(phrase.casefold())
    if at >= 0:
        return at
    goals = movements(phrase)[:1]
    return next((text.find(m.text) for goal in goals for m in movements(text) if relation(m, goal) == "entailed"), None)


def _same_movements(truth: str, said: str) -> bool:
    gold, found = movements(truth), movements(said)
    if not gold:  # "They begin nothing new."
        return not found and bool(_NOTHING.search(said))
    return tem(gold, found, relation).content >= ENOUGH
