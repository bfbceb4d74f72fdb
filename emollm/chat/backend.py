"""The ChatBackend protocol and the Reply every backend returns.

Nothing here knows shapes, encoders or any particular model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from emollm.errors import BackendError
from emollm.values import Analysis, Message, Sampling, Usage

FinishReason = Literal["stop", "length", "cancelled"]
Progress = Callable[[float, str], None]
"""Called with a share in [0, 1] and what is being done, e.g. (0.4, "finding faces")."""


class Reply:
    """A reply while it is being written: iterate for pieces of text; `usage` and `finish_reason` are set at the end."""

    def __init__(self, write: Callable[[Reply], Iterator[str]]) -> None:
        self._pieces = write(self)
        self._cancelled = threading.Event()
        self.usage: Usage | None = None
        self.finish_reason: FinishReason | None = None
        self.timings_s: dict[str, float] = {}
        self.logprobs: list[dict[str, Any]] = []  # of each token where `Sampling.logprobs` asks for them: token, logprob, top

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def cancel(self) -> None:
        """Ask the writer to stop at the next token; safe from any thread."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """True once someone asked to stop."""
        return self._cancelled.is_set()

    def text(self) -> str:
        """Drain the rest and return it as one string."""
        return "".join(self._pieces)


def refuse_forms(sampling: Sampling, who: str) -> None:
    """For backends that only draw text: what they cannot give is refused, not left out.

    Raises:
        BackendError: If a schema, log-probabilities or a deadline are asked for.
    """
    asked = {"schema": sampling.schema is not None, "logprobs": bool(sampling.logprobs), "deadline_s": sampling.deadline_s is not None}
    wanted = [name for name, there in asked.items() if there]
    if wanted:
        told = f"{who} cannot give {', '.join(wanted)}; leave it out, or use a system in this process (emollm.load)."
        raise BackendError(told, code="invalid_request")


class Scorer(Protocol):
    """Anything that can look at clips and score labels; all that a benchmark card needs."""

    @property
    def system(self) -> str:
        """Name of the system that answers, e.g. "emollm"."""
        ...

    @property
    def scale(self) -> str:
        """Scale of the system, e.g. "mini"."""
        ...

    @property
    def version(self) -> str:
        """Short identity of the weights; results of two versions are never mixed. Empty where it is not known."""
        ...

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        """Measure a clip, or return the cached measurement of the same content.

        Raises:
            MediaError: If the file cannot be read.
        """
        ...

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> Mapping[str, float]:
        """Probability of each label as the answer to the last message; sums to 1."""
        ...


class ChatBackend(Scorer, Protocol):
    """A scorer that chats as well."""

    def forget(self, path: Path) -> None:
        """Drop all that is kept of a clip; it is the caller who deletes the file, afterwards."""
        ...

    def reply(self, messages: Sequence[Message], sampling: Sampling) -> Reply:
        """Answer the last message, which must be the user's."""
        ...
