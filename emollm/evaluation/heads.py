"""The encoders' own verdicts as a backend that scores labels: what the measuring layer knows before any language model reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from emollm.chat.backend import Progress
from emollm.errors import RecipeError
from emollm.perception import Perception
from emollm.values import Analysis, Floats, Message


class HeadsBackend:
    """Answers label questions about clips from face or voice scores alone; texts and conversation are not its business."""

    def __init__(self, perception: Perception, *, system: str, scale: str, version: str) -> None:
        self._perception = perception
        self.system, self.scale, self.version = f"{system} encoders", scale, version

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        """See `Perception.analyze`."""
        return self._perception.analyze(path, progress)

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> Mapping[str, float]:
        """Shares of the labels among themselves; all alike where the clip shows neither face nor voice.

        Raises:
            RecipeError: The message has no clip.
        """
        if not messages[-1].clips:
            raise RecipeError("the encoders' own scores exist for faces and voices only; leave --heads out for texts.")
        analysis = self.analyze(messages[-1].clips[0])
        known: dict[str, float] = {}
        if analysis.faces:
            known = _named(analysis.faces[0].labels, analysis.faces[0].scores.mean(0))
        elif analysis.voice is not None:
            known = _named(analysis.voice.labels, analysis.voice.scores)
        values = np.array([known.get(label, 0.0) for label in labels])
        values = values / values.sum() if values.sum() > 0 else np.full(len(labels), 1 / len(labels))
        return dict(zip(labels, values.tolist(), strict=True))


def _named(labels: tuple[str, ...], scores: Floats) -> dict[str, float]:
    return dict(zip(labels, np.asarray(scores, float).tolist(), strict=True))
