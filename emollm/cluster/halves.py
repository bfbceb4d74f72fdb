"""A system in two halves that live in processes of their own: one measures clips, the other writes with the language model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Protocol, cast

from emollm.chat.backend import ChatBackend, Progress
from emollm.chat.echo import EchoBackend
from emollm.chat.local import LocalBackend
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


class _Told:
    """Analyses by paths that are no files, each for as long as it is needed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._told: dict[Path, Analysis] = {}
        self._calls = count()

    @contextmanager
    def told(self, messages: Sequence[Message], analyses: Mapping[str, Analysis]) -> Iterator[list[Message]]:
        """See Writing."""
        call = Path(str(next(self._calls)))
        self._told |= {call / digest: analysis for digest, analysis in analyses.items()}
        try:
            yield [replace(message, clips=tuple(call / clip for clip in message.clips)) for message in messages]
        finally:
            for digest in analyses:
                del self._told[call / digest]

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        """What was told of a clip."""
        return self._told[path]

    def _known(self, path: Path) -> bool:
        return True


class ToldEcho(_Told, EchoBackend):
    """The echo, told what clips are."""

    def forget_digest(self, digest: str) -> None:
        """Nothing is kept."""


class ToldLocal(_Told, LocalBackend):
    """A language model, told what clips show."""

    def forget_digest(self, digest: str) -> None:
        """What was read of a clip goes."""
        self._engine.forget(digest)


@dataclass(frozen=True, slots=True)
class EchoHalves:
    """The echo: decodes clips, and repeats what is said."""

    delay_s: float = 0.0
    confinement: Confinement | None = None

    def measuring(self) -> Measure:
        """See Halves."""
        echo = EchoBackend()
        if (guard := _guard(self.confinement)) is not None:
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


@dataclass(frozen=True, slots=True)
class LocalHalves:
    """A recipe at a scale; see `LocalBackend.from_recipe` for what the options mean."""

    system: str
    scale: str
    threads: int = 1
    adapters: Path | None = None
    bits: int | None = None
    device_map: str | None = None
    engine: str = "auto"
    confinement: Confinement | None = None

    def measuring(self) -> Measure:
        """See Halves."""
        import torch

        from emollm.build import build_perception, own_encoders

        torch.set_num_threads(self.threads)
        perception = build_perception(self.system, self.scale, own_encoders(self.system, self.scale, self.adapters))
        if (guard := _guard(self.confinement)) is not None:
            perception.opened = guard.open
        return lambda path: perception.look(path)[0]

    def writing(self) -> Writing:
        """See Halves."""
        import torch

        from emollm.build import build
        from emollm.engine.settings import EngineSettings
        from emollm.model.llm import PLAIN, hold

        torch.set_num_threads(self.threads)
        held = hold(bits=self.bits, device_map=self.device_map) if self.bits is not None or self.device_map is not None else PLAIN
        blind = cast(Any, object())  # clips are never looked at here, so no encoders are loaded
        parts = build(self.system, self.scale, adapters=self.adapters, hold=held, perception=blind)
        return ToldLocal(parts, replace(EngineSettings.named(self.engine), threads=self.threads))


def _guard(confinement: Confinement | None) -> Guard | None:
    return Guard(confinement) if confinement is not None and available() else None
