"""The halves of a recipe: encoders without a language model, and a language model that is told what clips show."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch

from emollm.build import build, build_perception, own_encoders
from emollm.chat.local import LocalBackend
from emollm.cluster.halves import Measure, Told, Writing, guard_of
from emollm.engine.settings import EngineSettings
from emollm.media.guarded import Confinement
from emollm.model.llm import PLAIN, hold


class ToldLocal(Told, LocalBackend):
    """A language model, told what clips show."""

    def forget_digest(self, digest: str) -> None:
        """What was read of a clip goes."""
        self._engine.forget(digest)


@dataclass(frozen=True, slots=True)
class LocalHalves:
    """A recipe at a scale; see `LocalBackend.from_recipe` for what the options mean."""

    system: str
    scale: str
    threads: int = 1
    adapters: Path | None = None
    bits: int | None = None
    device_map: str | None = None
    engine: EngineSettings = field(default_factory=EngineSettings)
    confinement: Confinement | None = None

    def measuring(self) -> Measure:
        """See Halves."""
        torch.set_num_threads(self.threads)
        perception = build_perception(self.system, self.scale, own_encoders(self.system, self.scale, self.adapters))
        if (guard := guard_of(self.confinement)) is not None:
            perception.opened = guard.open
        return lambda path: perception.look(path)[0]

    def writing(self) -> Writing:
        """See Halves."""
        torch.set_num_threads(self.threads)
        held = hold(bits=self.bits, device_map=self.device_map) if self.bits is not None or self.device_map is not None else PLAIN
        blind = cast(Any, object())  # clips are never looked at here, so no encoders are loaded
        parts = build(self.system, self.scale, adapters=self.adapters, hold=held, perception=blind)
        return ToldLocal(parts, replace(self.engine, threads=self.threads))
