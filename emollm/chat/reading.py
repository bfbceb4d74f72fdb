"""The emotion of what is said, line by line, by the language model itself; an addition to the measuring layer for those who ask for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from emollm.chat.backend import Scorer
from emollm.data.prompts import label_question
from emollm.encoders.explain import Explanation
from emollm.perception import Perception, Progress
from emollm.values import Analysis, Message, Transcript
from emollm.watch import CloseUp, Keepsakes

LABELS = ("neutral", "happy", "sad", "surprise", "angry", "fear", "disgust")
BEFORE = 3  # lines that are read along with the one asked about
LONGEST = 240  # letters of a line


def read_words(words: Transcript, scorer: Scorer, progress: Callable[[float], None] | None = None) -> Transcript:
    """Every segment with the probability of each emotion, its words read after the lines before it."""
    found = []
    for i, segment in enumerate(words.segments):
        lines = [f"A: {s.text[:LONGEST]}" for s in words.segments[max(0, i - BEFORE) : i + 1]]
        question = label_question(list(LABELS), kind="text")
        shares = scorer.score([Message("user", "\n".join([*lines, question]))], LABELS)
        found.append(replace(segment, scores={k: round(float(v), 4) for k, v in shares.items()}))
        if progress is not None:
            progress((i + 1) / len(words.segments))
    return replace(words, segments=tuple(found))


class ReadingPerception:
    """A perception that also reads the words it hears."""

    def __init__(self, perception: Perception, scorer: Scorer) -> None:
        self._perception, self._scorer = perception, scorer

    def look(self, path: Path, progress: Progress | None = None) -> tuple[Analysis, Keepsakes]:
        """See `Perception.look`."""
        analysis, kept = self._perception.look(path, progress)
        if analysis.words is not None:
            analysis = replace(analysis, words=read_words(analysis.words, self._scorer))
        return analysis, kept

    def explain(self, close_up: CloseUp, label: str | None = None) -> Explanation:
        """See `Perception.explain`."""
        return self._perception.explain(close_up, label)


def reading_maker(system: str, scale: str, fps: float) -> Any:
    """A picklable factory of a perception that reads words, for worker processes."""
    return partial(_make, system, scale, fps)


def _make(system: str, scale: str, fps: float) -> ReadingPerception:
    from emollm.build import build, measuring_maker
    from emollm.chat.local import LocalBackend

    perception = measuring_maker(system, scale, fps)()
    return ReadingPerception(perception, LocalBackend(build(system, scale, perception=perception)))
