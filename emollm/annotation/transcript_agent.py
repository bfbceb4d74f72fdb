"""The transcript agent: what is said, and whether the words themselves tell a feeling; a small list of English words, and no more.

A word counts only where the speaker says it of themselves or as an outcry, and not behind a denial. Everything else, every other language
included, ends with "the words alone do not say", which is true more often than a guess.
"""

from __future__ import annotations

import re

from emollm.annotation.finding import Finding
from emollm.annotation.units_agent import NOUNS
from emollm.values import Analysis

DOUBTFUL = 0.5  # mean probability of the words below which the transcript is called doubtful
_SELF = (
    r"\b(?:i|we)(?:'m| am|'re| are| was| were| feel| felt| have been|'ve been| just feel| still feel)\b"
    r"(?:\s+(?!not\b|no\b|never\b)\w+){0,3}?\s+"
)
_ABOUT_ME: dict[str, str] = {
    "happy": r"happy|glad|delighted|thrilled|overjoyed|excited|grateful|proud|relieved",
    "sad": r"sad|alone|lonely|heartbroken|miserable|depressed|unhappy|hopeless|disappointed|hurt|down",
    "angry": r"angry|furious|mad|annoyed|fed up|sick of|frustrated|outraged",
    "fear": r"afraid|scared|frightened|terrified|worried|anxious|nervous",
    "surprise": r"surprised|shocked|amazed|astonished|stunned",
    "disgust": r"disgusted|revolted|sickened",
    "bored": r"bored",
}
_OUTCRY: dict[str, str] = {
    "angry": r"\bi hate (?:this|it|you)\b|\bhow dare you\b|\bleave me alone\b",
    "surprise": r"\bi did(?: not|n't) expect\b|\boh my (?:god|gosh)\b|\bno way\b|\bi had no idea\b",
    "disgust": r"\bdisgusting\b|\bgross\b|\bthat is revolting\b",
    "happy": r"\bthis is (?:wonderful|amazing|great)\b|\bi love (?:this|it|you)\b|\bbest day\b",
    "sad": r"\bi miss (?:you|him|her|them)\b|\bi lost (?:him|her|them|everything)\b",
    "fear": r"\bi am so scared\b|\bhelp me\b",
}
_LANGUAGES = {"en": "English", "zh": "Chinese", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "ja": "Japanese"}


def feelings(text: str) -> dict[str, str]:
    """Emotion -> the sentence that says it, the speaker's own feelings first, else outcries; empty where the words do not tell."""
    found: dict[str, str] = {}
    parts = [part.strip() for part in re.findall(r"[^.!?]+[.!?]?", text.replace("’", "'")) if part.strip()]
    for emotion, words in _ABOUT_ME.items():
        hit = next((p for p in parts if re.search(rf"{_SELF}(?:{words})\b|^(?:so )?(?:{words})[.!]?$", p.casefold())), None)
        if hit is not None:
            found[emotion] = hit
    if not found:
        for emotion, pattern in _OUTCRY.items():
            hit = next((p for p in parts if re.search(pattern, p.casefold())), None)
            if hit is not None:
                found[emotion] = hit
    return found


def read(analysis: Analysis, given: str = "", language: str = "") -> Finding:
    """What is said.

    Args:
        analysis: What was measured, with the recogniser's transcript.
        given: The sample's own transcript, which goes before what was heard.
        language: Of the given one, ISO 639-1; empty where unknown.
    """
    heard = analysis.words
    text = given or (heard.text if heard is not None else "")
    if not text:
        return Finding("")
    code = (language or (heard.language if heard is not None and not given else "")) or "en"
    chances = [w.probability for s in heard.segments for w in s.words] if heard is not None and not given else []
    doubt = " The recogniser was unsure of these words." if chances and sum(chances) / len(chances) < DOUBTFUL else ""
    said = f'The words are, in {_LANGUAGES.get(code, f"the language {code!r}")}: "{_plain(text)}"{doubt}'
    told = feelings(text) if code == "en" else {}
    if len(told) == 1:
        [(emotion, where)] = told.items()
        gist = f'The words tell of {NOUNS[emotion]}: "{_plain(where)}"'
        return Finding(f"{said} {gist}", gist + doubt, emotion, outright=True)
    if told:
        gist = f"The words tell of more than one feeling: {' and '.join(NOUNS[e] for e in told)}."
    else:
        gist = "The words alone do not say how the person feels."
    return Finding(f"{said} {gist}", f"{said} {gist}")


def _plain(text: str) -> str:
    """Without quotation marks of its own, and with an end."""
    text = " ".join(text.replace('"', "'").split())
    return text if text.endswith((".", "!", "?")) else f"{text}."
