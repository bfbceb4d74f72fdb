"""What one agent found in one clip: sentences, the emotion it stands for, the frame it points at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

AgentName = Literal["units", "visual", "audio", "transcript", "consolidator", "verifier"]
AGENTS: tuple[AgentName, ...] = ("units", "visual", "audio", "transcript", "consolidator", "verifier")
OBSERVERS: tuple[AgentName, ...] = ("units", "visual", "audio", "transcript")
# agent -> agents whose findings it reads
READS: Mapping[AgentName, tuple[AgentName, ...]] = {
    "units": (), "visual": (), "audio": (), "transcript": (), "consolidator": OBSERVERS, "verifier": ("consolidator",),
}  # fmt: skip
BY_MODEL = AGENTS[1:]  # the units are counted, never guessed


@dataclass(frozen=True, slots=True)
class Finding:
    """One agent's answer about one clip."""

    text: str  # full sentences; empty where the agent had nothing to look at
    gist: str = ""  # the same in what a whole description needs of it
    emotion: str = ""  # of `verdict.EMOTIONS`; empty where the agent cannot say
    outright: bool = False  # somebody said how they feel, in words
    peak_s: float | None = None  # where the expression is strongest
    peak_frame: int | None = None  # the same as a frame of the file, from 0
    checks: tuple[tuple[str, str, str], ...] = ()  # sentence, "supported" | "unsupported" | "unchecked", why; of the verifier

    def plain(self) -> dict[str, Any]:
        """For a record."""
        return asdict(self)


def finding_from(data: Mapping[str, Any]) -> Finding:
    """The finding of a record."""
    return Finding(**{**data, "checks": tuple((str(a), str(b), str(c)) for a, b, c in data.get("checks", ()))})


def listed(words: list[str]) -> str:
    """ "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def sentence(words: str) -> str:
    """With a capital letter and a full stop."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?", '."', '!"', '?"')) else ".")
