"""A backend that acts: it pretends to have measured real clips, and answers on cue. And small helpers that wait for what must come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emollm.chat.backend import Progress, Reply
from emollm.chat.echo import EchoBackend
from emollm.errors import BackendError
from emollm.units import UNITS
from emollm.values import Analysis, FaceReading, FaceTrack, Message, Motion, Sampling, Segment, Transcript, VoiceCurve, VoiceReading, Word

PATIENCE_S = 90.0
LABELS = ("neutral", "happy", "sad")
HOSTILE = "<script>document.title='owned'</script> ![beacon](http://192.0.2.1/x.png) done."
SAID = "I did <b>not</b> expect this."


def pretend(found: Analysis, *, people: int = 1) -> Analysis:
    """A clip's analysis filled with a face that begins to smile at 3 s, and a sad voice."""
    n = 40
    times = np.linspace(0, max(found.duration_s - 0.05, 0.1), n)
    smile = (times > 3.0).astype(float)
    scores = np.stack([0.9 - 0.85 * smile, 0.05 + 0.85 * smile, np.full(n, 0.05)], 1)
    units = np.zeros((n, 52))
    units[:, UNITS.index("mouthSmileLeft")] = units[:, UNITS.index("mouthSmileRight")] = 0.8 * smile
    faces = []
    for person in range(people):
        boxes = np.tile([230.0 + 40 * person, 100, 400 + 40 * person, 290], (n, 1))
        track = FaceTrack(np.arange(n), times, boxes, np.zeros((n, 468, 3)), np.zeros((n, 2, 3)), np.ones(n))
        motions = (Motion(3.0, 3.4, 5.0, "mouthSmile", "", 0.8),)
        faces.append(FaceReading(track, LABELS, scores, ("mouth corners raised",), units=units, motions=motions))
    said = tuple(Word(0.7 + 0.3 * i, 0.95 + 0.3 * i, text, 0.9) for i, text in enumerate(SAID.split()))
    seconds = np.arange(0, found.duration_s, 0.1)
    curve = VoiceCurve(seconds, 150 + 40 * np.sin(seconds), -30 + 8 * np.sin(3 * seconds))
    pieces = np.array([[0.05, 0.05, 0.9]])
    spans, felt = ((0.7, 6.0),), np.array([[0.1, -0.5, 0.0]])
    voice = VoiceReading(spans, LABELS, pieces[0], 160.0, 8.0, -20.0, ("low pitch",), (0,), spans, pieces, felt, curve)
    return replace(found, faces=tuple(faces), voice=voice, words=Transcript("en", (Segment(0.7, 2.2, SAID, said),)), missing={})


class Acting(EchoBackend):
    """Measures and answers on cue.

    Clips called slow... take until somebody opens `gate`, and so does an answer to a question with "slowly". A question that ends in "!!"
    or "??" makes it fail.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Message, ...]] = []
        self.forgotten: list[str] = []
        self.gate = threading.Event()

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        if path.name.startswith("slow") and progress is not None:
            while not self.gate.wait(0.05):
                progress(0.4, "following faces")
        found = super().analyze(path, progress)
        return pretend(found, people=2 if path.name.startswith("two") else 1) if found.kind == "video" else found

    def forget(self, path: Path) -> None:
        self.forgotten.append(path.name)
        super().forget(path)

    def reply(self, messages: Any, sampling: Sampling) -> Reply:
        self.asked.append(tuple(messages))
        question = messages[-1].text

        def write(reply: Reply) -> Iterator[str]:
            if question.endswith("!!"):
                raise BackendError("the model is busy; ask again in a minute")
            if question.endswith("??"):
                raise ZeroDivisionError("secret detail")
            yield "You asked: "
            for piece in question.split():
                yield piece + " "
            while "slowly" in question and not self.gate.wait(0.05):
                if reply.cancelled:
                    reply.finish_reason = "cancelled"
                    return
                yield "…"
            for piece in (HOSTILE if "hostile" in question else "It begins at 3.0 seconds. Done.").split(" "):
                yield piece + " "
            reply.finish_reason = "stop"

        return Reply(write)


@dataclass(frozen=True)
class Running:
    """A started app."""

    address: str
    backend: Acting
    folder: Path
    demo: Any = None

    def remembered(self) -> list[str]:
        """Pages whose components the app still holds, with what they showed last."""
        return list(self.demo.state_holder.session_data)

    def clips(self) -> list[str]:
        """Names of all files that lie on disk for the app now."""
        return sorted(p.name for p in self.folder.rglob("*") if p.is_file())


def wait_for(what: Callable[[], Any], said: str, patience_s: float | None = None) -> Any:
    """The first truthy answer, or a failure that says what did not happen."""
    patience_s = PATIENCE_S if patience_s is None else patience_s
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    return pytest.fail(f"waited {patience_s:.0f} s, but {said}")
