"""Texts that people read in the app and in reports: one file a language, all with the same keys.

English stands in for what a language lacks. Knows neither gradio nor measurements; what other rooms say in English (cues, movements,
reasons) is looked up by its English words.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).resolve().parent
ENGLISH = "en"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SIDE = re.compile(r" on the (left|right) side$")


class Words:
    """The texts of one language. Call it with a key: `words("talk.send")`, `words("keep.saved", name="clip.json")`."""

    def __init__(self, language: str) -> None:
        self.language = language if language in languages() else ENGLISH
        self._table = table(self.language)

    def __call__(self, key: str, **fields: object) -> str:
        """The text of a key, with its fields filled in."""
        found = self._table.get(key, table(ENGLISH)[key])
        return str(found).format(**fields) if fields else str(found)

    def rows(self, key: str) -> list[str]:
        """A list of texts, such as the heads of a table."""
        return [str(one) for one in self._table.get(key, table(ENGLISH)[key])]

    def emotion(self, label: str) -> str:
        """An emotion's name as people say it; a label that is not known stays as it is."""
        return str(self._table.get(f"emotion.{label}", label))

    def modality(self, name: str) -> str:
        """ "face", "voice", "words" or "joined"."""
        return str(self._table.get(f"modality.{name}", name))

    def phrase(self, english: str) -> str:
        """What another room says in English: a cue, a movement, a reason, a note. Unknown ones stay English."""
        side = _SIDE.search(english)
        if side is not None and side.start():
            return f"{self.phrase(english[: side.start()])}{self.phrase(side.group())}"
        numbers = _NUMBER.findall(english)
        found = self._table.get("phrase." + _NUMBER.sub("{n}", english))
        if found is None:
            return english
        for number in numbers:
            found = str(found).replace("{n}", number, 1)
        return str(found)

    def fault(self, message: str, code: str) -> str:
        """An error for the user: the English line as it is, with what it means before it where the language says so."""
        meaning = self._table.get(f"fault.{code}")
        return f"{meaning} ({message})" if meaning else message

    def joined(self, parts: list[str]) -> str:
        """A list in words, "a, b and c"."""
        if len(parts) < 2:
            return "".join(parts)
        return f"{', '.join(parts[:-1])} {self('and')} {parts[-1]}"


@cache
def languages() -> dict[str, str]:
    """Code -> the language's own name, English first."""
    codes = sorted((path.stem for path in _FOLDER.glob("*.toml")), key=lambda code: (code != ENGLISH, code))
    return {code: str(table(code)["name"]) for code in codes}


@cache
def table(language: str) -> Mapping[str, Any]:
    """All texts of one language, by dotted key."""
    return _flat(tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8")))


def _flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return found


def chosen(asked: str | None, accepted: str | None) -> str:
    """The language to begin with: the one asked for, else the first of the browser's that we have, else English."""
    wanted = [asked or "", *(part.partition(";")[0].strip() for part in (accepted or "").split(","))]
    return next((code for one in wanted for code in [one.lower().partition("-")[0]] if code in languages()), ENGLISH)
