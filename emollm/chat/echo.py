"""A chat backend without weights: it decodes clips for real and answers by saying what it was given.

For tests and work on the user interface. It measures nothing, so every modality of its analyses is absent.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from emollm.chat.backend import Progress, Reply, refuse_forms
from emollm.errors import BackendError
from emollm.media.decode import Opener, Reel, decode_clip, digest_of
from emollm.values import Analysis, Clip, Message, Sampling, Usage

CLIP_TOKENS = 32  # what one clip counts for in `prompt_tokens`
KEPT = 256  # analyses


class EchoBackend:
    """Answers with its own input; a word is a token.

    Args:
        delay_s: Pause before each piece, to watch streaming.

    Attributes:
        decodes: How many clips were really decoded; a repeated clip is not.
    """

    system = "echo"
    scale = "toy"
    version = "echo"

    def __init__(self, *, delay_s: float = 0.0) -> None:
        self.decodes = 0
        self._opened: Opener = Reel  # as in Perception
        self._delay_s = delay_s
        self._analyses: OrderedDict[str, Analysis] = OrderedDict()
        self._lock = threading.Lock()

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        """Decode a clip and say of each modality why it is absent; a clip of the same content is decoded once."""
        digest = digest_of(path)
        with self._lock:
            if digest not in self._analyses:
                if progress is not None:
                    progress(0.0, "decoding")
                self._analyses[digest] = self._measure(path)
                while len(self._analyses) > KEPT:
                    self._analyses.popitem(last=False)
            known = self._analyses[digest]
        if progress is not None:
            progress(1.0, "done")
        return replace(known, name=path.name)

    def forget(self, path: Path) -> None:
        """See ChatBackend."""
        digest = digest_of(path)
        with self._lock:
            self._analyses.pop(digest, None)

    def open_with(self, opened: Opener) -> None:
        """Have files opened in another way, e.g. in another process."""
        self._opened = opened

    def _measure(self, path: Path) -> Analysis:
        start = time.perf_counter()
        clip = decode_clip(path, opened=self._opened)
        self.decodes += 1
        return Analysis(
            name=clip.name,
            kind=clip.kind,
            digest=clip.digest,
            duration_s=clip.duration_s,
            faces=(),
            voice=None,
            words=None,
            missing=_why_missing(clip),
            features={},
            timings_s={"decode": time.perf_counter() - start},
            warnings=clip.warnings,
        )

    def reply(self, messages: Sequence[Message], sampling: Sampling) -> Reply:
        """Name the clips and the number of turns, then repeat the question."""
        refuse_forms(sampling, "the echo")
        question = last_question(messages)

        def write(reply: Reply) -> Iterator[str]:
            seen = [self.analyze(path) for message in messages for path in message.clips]
            reply.timings_s = {"decode": sum(analysis.timings_s["decode"] for analysis in seen)}
            asked = sum(len(message.text.split()) for message in messages) + CLIP_TOKENS * len(seen)
            words = re.findall(r"\s*\S+", _answer(messages, question, seen))
            written = 0

            def spoken() -> Iterator[str]:
                nonlocal written
                for word in words[: sampling.max_new_tokens]:
                    if self._delay_s:
                        time.sleep(self._delay_s)
                    if reply.cancelled:
                        return
                    written += 1
                    yield word

            stopped = yield from _until(spoken(), sampling.stop)
            if reply.cancelled and written < len(words):
                reply.finish_reason = "cancelled"
            else:
                reply.finish_reason = "length" if not stopped and written < len(words) else "stop"
            reply.usage = Usage(asked, written)

        return Reply(write)

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> Mapping[str, float]:
        """Softmax over how many words each label shares with the last message."""
        heard = set(last_question(messages).text.lower().split())
        if not labels:
            raise BackendError("no labels to score; give at least one.", code="invalid_request")
        weights = {label: math.exp(len(heard & set(label.lower().split()))) for label in labels}
        total = sum(weights.values())
        return {label: weight / total for label, weight in weights.items()}


def last_question(messages: Sequence[Message]) -> Message:
    """The message to be answered.

    Raises:
        BackendError: If there is none, or it is not the user's.
    """
    if not messages or messages[-1].role != "user":
        found = f"ends with one of {messages[-1].role!r}" if messages else "is empty"
        raise BackendError(f"the conversation must end with a message of 'user', but it {found}.", code="invalid_request")
    return messages[-1]


def _why_missing(clip: Clip) -> dict[str, str]:
    silent = "this clip has no sound" if clip.audio is None else None
    return {
        "face": "the echo system does not look for faces" if len(clip.frames) else "this clip has no picture",
        "voice": silent or "the echo system does not measure voices",
        "words": silent or "the echo system does not recognise speech",
    }


def _answer(messages: Sequence[Message], question: Message, seen: Sequence[Analysis]) -> str:
    clips = ", ".join(f"{analysis.kind} of {analysis.duration_s:.1f} s" for analysis in seen) or "none"
    system = ", with a system message" if any(message.role == "system" for message in messages) else ""
    turns = sum(message.role == "user" for message in messages)
    return f"Turn {turns}{system}. Clips: {clips}. You said: {question.text}".rstrip()


def _until(pieces: Iterable[str], stops: Sequence[str]) -> Generator[str, None, bool]:
    """Pass pieces on up to the first stop string, which may span pieces; returns whether one was met."""
    held = ""
    keep = max((len(stop) for stop in stops), default=1) - 1  # so much at the end may be the start of a stop string
    for piece in pieces:
        held += piece
        cuts = [at for stop in stops if stop and (at := held.find(stop)) >= 0]
        if cuts:
            if head := held[: min(cuts)]:
                yield head
            return True
        if ready := held[: max(0, len(held) - keep)]:
            yield ready
            held = held[len(ready) :]
    if held:
        yield held
    return False
