"""A system in two halves that live in processes of their own: one measures clips, the other writes. Here are those of the echo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from emollm.chat.backend import ChatBackend, Progress
from emollm.chat.echo import EchoBackend
from emollm.media.guarded import Confinement, Guard, available
from emollm.values import Analysis, Message

Measure = Callable[[Path], Analysis]
"""A file to its measurements; nothing of it is kept."""


class Writing(ChatBackend, Protocol):
    """A backend that is told what clips show instead of looking at them."""

    def told(self, messages: Sequence[Message], analyses: Mapping[str, Analysis]) -> Any:
        """A context in which the messages it gives can be answered; clips of `messages` are named by their digests."""
        ...

    def forget_digest(self, digest: str) -> None:
        """Drop all that is kept of a clip."""
        ...


class Halves(Protocol):
    """Both halves, each built in the process that runs it; must be picklable."""

    def measuring(self) -> Measure:
        """The encoders."""
        ...

    def writing(self) -> Writing:
        """The language model."""
        ...


class Told:
    """Analyses by paths that are no files, each for as long as it is needed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._told_of: dict[Path, Analysis] = {}
        self._calls = count()

    @contextmanager
    def told(self, messages: Sequence[Message], analyses: Mapping[str, Analysis]) -> Iterator[list[Message]]:
        """See Writing."""
        call = Path(str(next(self._calls)))
        self._told_of |= {call / digest: analysis for digest, analysis in analyses.items()}
        try:
            yield [replace(message, clips=tuple(call / clip for clip in message.clips)) for message in messages]
        finally:
            for digest in analyses:
                del self._told_of[call / digest]

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        """What was told of a clip."""
        return self._told_of[path]

    def _known(self, path: Path) -> bool:
        return True


class ToldEcho(Told, EchoBackend):
    """The echo, told what clips are."""

    def forget_digest(self, digest: str) -> None:
        """Nothing is kept."""


@dataclass(frozen=True, slots=True)
class EchoHalves:
    """The echo: decodes clips, and repeats what is said."""

    delay_s: float = 0.0
    confinement: Confinement | None = None

    def measuring(self) -> Measure:
        """See Halves."""
        echo = EchoBackend()
        if (guard := guard_of(self.confinement)) is not None:
            echo.open_with(guard.open)

        def measure(path: Path) -> Analysis:
            try:
                return echo.analyze(path)
            finally:
                echo.forget(path)

        return measure

    def writing(self) -> Writing:
        """See Halves."""
        return ToldEcho(delay_s=self.delay_s)


def guard_of(confinement: Confinement | None) -> Guard | None:
    """Decoding processes of a replica; none where there can be none."""
    return Guard(confinement) if confinement is not None and available() else None
