"""Movements of a face read out of a caption by a small grammar: which part, what it does, on which side, how strongly and when.

No language model is asked, so two runs give the same list; what the grammar has no word for is not seen. Left and right are taken as
written. Used in place of the judge of AutoDQ and TEM (see `temporal`); the relation of two movements comes from `relation`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from emollm.evaluation.face_words import (
    ALONE,
    BODY,
    CLAUSES,
    DENIED,
    FAINT,
    GONE,
    LOOKS,
    MEANS,
    OTHER,
    PART,
    PARTS,
    PHASE_WORDS,
    SENTENCES,
    STRONG,
    TIME,
    VERB,
    VERBS,
    WAYS,
)

Relation = Literal["entailed", "contradicted", "neutral"]
AGAIN = ("blink", "nod", "shake", "return")  # done anew each time it is told, not a state that goes on
PHASES = ("start", "progress", "middle", "end")
NEAR_S = 1.0  # movements with known times further apart than this are not the same


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement, or a state that is told like one ("eyes half-open")."""

    part: str  # "brows", "eyes", "gaze", "nose", "cheeks", "mouth", "corners", "lips", "jaw", "chin", "head", "speech", ...
    axis: str  # what changes, such as "open", "height", "x" or "furrow"
    sign: int  # 1 or -1: opened or closed, up or down, left or right
    side: str = ""  # "left", "right", "both", or "" where nothing is said
    strength: int = 0  # -1 faint, 1 strong, 0 not said
    phase: str = ""  # of PHASES, or "" where nothing is said
    time_s: float | None = None
    who: str = ""  # "" is the person the caption is about; else "left", "right" or "middle" of the picture
    text: str = ""  # the clause it was read from


def movements(caption: str) -> list[Movement]:
    """Movements in the order told; repeats in one breath ("mouth open, mouth ajar") are kept once, unless the other way round came between.

    Sentences of appearance before the story begins are passed over, and so are denials ("no change in the brows").
    """
    found: list[Movement] = []
    phase, story = "", any(re.search(pattern, caption, re.IGNORECASE) for _, pattern in PHASE_WORDS)
    begun = not story
    for sentence in SENTENCES.split(re.sub(r'"[^"]*"', "", caption).casefold().replace("’", "'")):
        time_s, first = _time(sentence), len(found)
        part, who = "", _who(sentence)
        marked = _phase(sentence)
        if marked:
            phase, begun = marked, True
        if not begun or (not story and LOOKS.search(sentence)):
            continue
        shared: list[str] = []  # parts named before "and", for the verb that follows: "the brows and the nose wrinkle"
        for clause in _clauses(sentence):
            phase = _phase(clause) or phase
            at = _time(clause)
            if DENIED.search(clause) or (BODY.search(clause) and not PART.search(clause)):
                continue
            told, part = _of_clause(clause, part, shared)
            if not told and not PART.search(clause):  # ", mostly on the left side, faintly" is about all the sentence has told
                side, strength = _side(clause), _strength(clause)
                found[first:] = [replace(m, side=m.side or side, strength=m.strength or strength) for m in found[first:]]
            shared = [*shared, part] if not told and len(clause.split()) <= 4 and PART.search(clause) else []
            for m in told:
                whole = replace(m, phase=phase, time_s=time_s if at is None else at, who=who)
                if not _repeats(whole, found) and not _of_raised_brows(whole, found):
                    found.append(whole)
    return found


def _repeats(m: Movement, found: Sequence[Movement]) -> bool:
    """Whether a movement was told just before, and nothing else of the same part since that would make it a new one."""
    for back, old in enumerate(reversed(found[-4:])):
        if replace(m, text="", strength=0) == replace(old, text="", strength=0):
            return m.axis not in AGAIN or not back
        if (m.part, m.axis) == (old.part, old.axis):
            return False
    return False


def _of_raised_brows(m: Movement, found: Sequence[Movement]) -> bool:
    """Whether lines of the forehead come with brows that rose or sank, and so are no frown."""
    lines = (m.part, m.axis) == ("brows", "furrow") and "forehead" in m.text and "frown" not in m.text
    return lines and any((old.part, old.axis) == ("brows", "height") for old in found[-4:])


def _clauses(sentence: str) -> list[str]:
    """Cut at commas and joining words, but not inside "left and right" or "eyes and mouth open", where one verb serves both."""
    pieces = [piece.strip() for piece in CLAUSES.split(_joined(sentence))]
    return [piece.replace("_", " ") for piece in pieces if piece]


def _joined(sentence: str) -> str:
    one = r"left|right|up|down|back|forth|upwards?|downwards?|forwards?|draw\w*"
    other = r"(?:slightly )?(?:to the )?(?:left|right|up|down|back|forth|upwards?|downwards?|forwards?|together)"
    sentence = re.sub(rf"\b({one}) and ({other})\b(?! (?:corner|side|eye|brow|lid|cheek))", r"\1_and_\2", sentence)
    sentence = re.sub(r"\b(paus\w*) (while|when|as)\b", r"\1_\2", sentence)
    return re.sub(r"\bas ((?:the )?(?:video|clip|time|it) (?:prog|goes|cont|unf|play))", r"as_\1", sentence)


def _phase(text: str) -> str:
    places = [(m.start(), name) for name, pattern in PHASE_WORDS if (m := re.search(pattern, text))]
    return min(places)[1] if places else ""


def _time(text: str) -> float | None:
    found = TIME.search(text)
    if found is None:
        return None
    return float(found[1]) if found[1] else 60 * float(found[2]) + float(found[3])


def _who(sentence: str) -> str:
    found = OTHER.search(sentence)
    return (found[1] or found[2]) if found else ""


def _of_clause(clause: str, carried: str, shared: list[str]) -> tuple[list[Movement], str]:
    """Movements of one clause, and the part a next clause without one goes on about."""
    hits = list(PART.finditer(clause))
    parts = [(m.start(), PARTS[int(str(m.lastgroup)[1:])][0]) for m in hits]
    masked = PART.sub(lambda m: "#" * len(m.group()), clause)  # so that "lower lip" holds no verb
    verbs = [(m.start(), VERBS[int(str(m.lastgroup)[1:])][0], m.group()) for m in VERB.finditer(masked)]
    side, strength = _side(clause), _strength(clause)
    found: list[Movement] = []
    for place, verb, word in verbs:
        subjects = _subjects(place, parts, carried, verb)
        for part in [*(p for p in shared if subjects and _can(p, verb)), *subjects]:
            turned = part == "eyes" and word.startswith(("turn", "mov", "downcast"))  # the lids need not sink
            for meaning in _meanings("gaze" if turned else part, verb, masked[place:] if verb != "turn" else masked):
                if GONE.search(clause) and meaning[1] == "furrow":
                    meaning = (meaning[0], meaning[1], -1)  # noqa: PLW2901
                found.append(Movement(*meaning, side=side if meaning[1] not in {"x", "roll side"} else "", strength=strength, text=clause))
    if not verbs and parts:  # "eyes looking" always has its verb; "gaze to the left" has none
        for meaning in _meanings(parts[-1][1], "look", masked) if parts[-1][1] == "gaze" else []:
            found.append(Movement(*meaning, strength=strength, text=clause))
    unique = {replace(m, strength=0): m for m in found}
    return list(unique.values()), parts[-1][1] if parts else carried


def _subjects(place: int, parts: list[tuple[int, str]], carried: str, verb: str) -> list[str]:
    """The parts a verb is about: those before it, else the first after it, else the one spoken of before."""
    if verb in {"speak", "stop speaking", "look"}:
        return [""]
    before = [name for at, name in parts if at < place]
    after = [name for at, name in parts if at > place]
    able = [name for name in before if _can(name, verb)]
    if able:
        return able[-1:] if verb in {"show", "turn", "tilt"} else able
    for name in after:
        if _can(name, verb):
            return [name]
    if verb in {"tilt", "lean"}:
        return [] if verb == "lean" and after else ["head"]  # "extends the chin forward" is not about the head
    if verb in ALONE:
        return [""]
    return [carried] if carried and not before and _can(carried, verb) else []


def _can(part: str, verb: str) -> bool:
    if verb in {"turn", "tilt", "lean"}:
        return part in ({"head", "gaze", "eyes", "mouth", "lips", "jaw"} if verb == "turn" else {"head"})
    return verb in MEANS.get(part, {})


def _meanings(part: str, verb: str, text: str) -> list[tuple[str, str, int]]:
    """What a part and a verb come to, directions included."""
    ways = _ways(text)
    if verb == "look" or (verb == "turn" and part in {"gaze", "eyes"}):
        return [("gaze", axis, sign) for axis, sign in ways]
    if verb == "turn" and part in {"mouth", "lips", "jaw"}:
        return [("jaw" if part == "jaw" else "mouth", "aside" if {"x", "aside"} & {axis for axis, _ in ways} else "moves", 1)]
    if part == "head" and verb in {"turn", "tilt", "lean"}:
        if not ways:
            if "retract" in text:
                return [("head", "z", -1)]
            return [] if "side to side" in text else [("head", "moves", 1)]  # which is read as a shake
        if verb == "tilt":  # to the side it is a roll, up and down a pitch
            return [("head", "roll", sign) if axis == "x" else ("head", "y", sign if axis == "y" else -sign) for axis, sign in ways]
        if verb == "lean":
            return [("head", "roll" if axis == "x" else axis, sign) for axis, sign in ways]
        return [("head", axis, sign) for axis, sign in ways]
    if part == "":
        return [ALONE[verb]] if verb in ALONE else []
    meaning = MEANS[part].get(verb)
    sideways = [("gaze", axis, sign) for axis, sign in ways if axis == "x"] if part == "gaze" else []  # "drops to the left"
    return [meaning, *sideways] if meaning is not None else []


def _ways(text: str) -> list[tuple[str, int]]:
    places = sorted((m.start(), axis, sign) for axis, sign, pattern in WAYS for m in re.finditer(pattern, text))
    return [(axis, sign) for _, axis, sign in places]


def _strength(clause: str) -> int:
    return 1 if STRONG.search(clause) else -1 if FAINT.search(clause) else 0


def _side(clause: str) -> str:
    if re.search(r"\bboth\b", clause):
        return "both"
    found = re.search(
        r"\b(left|right) (?:side|corner|eye\w*|brow\w*|cheek\w*|lid\w*|half|part|nostril|upper|lower|inner|outer|mouth|end)\b", clause
    )
    return found[1] if found else ""


def relation(premise: Movement, claim: Movement) -> Relation:
    """Whether the premise entails the claim, contradicts it or leaves it open.

    Entailed: the same part moves the same way, the premise is on the claimed side (a movement told without a side is of both), and the
    times agree where both are known; a rise of the inner or outer brows is one of the brows. Brows that lower, draw together or form a
    frown are one action of one muscle (AU4), so each entails the other. Contradicted: the same part the other way round. Anything else
    is open. Strength decides nothing.
    """
    if _frowns(premise) and _frowns(claim):
        premise = replace(premise, axis=claim.axis, sign=claim.sign)
    narrower = premise.part in {"inner brows", "outer brows"} and claim.part == "brows" and premise.sign == claim.sign
    same = premise.part == claim.part or narrower
    if (
        not same
        or (premise.axis, premise.who) != (claim.axis, claim.who)
        or not _together(premise, claim)
        or {premise.side, claim.side} == {"left", "right"}
    ):
        return "neutral"
    if premise.sign != claim.sign:
        return "contradicted"
    if claim.side == "both" and premise.side in {"left", "right"}:
        return "neutral"
    return "entailed"


def _frowns(m: Movement) -> bool:
    return m.part == "brows" and (m.axis, m.sign) in {("height", -1), ("furrow", 1)}


def _together(first: Movement, second: Movement) -> bool:
    if first.time_s is not None and second.time_s is not None:
        return abs(first.time_s - second.time_s) <= NEAR_S
    if first.phase and second.phase:
        # neighbouring phases have no sharp border: "as the video progresses" is both late start and early middle
        return abs(PHASES.index(first.phase) - PHASES.index(second.phase)) <= 1
    return True
