"""What passes between the door and the replicas. Clips travel by content: no path, and no name that a user gave, leaves the door."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emollm.chat.backend import FinishReason
from emollm.errors import EmollmError
from emollm.values import Analysis, Usage


@dataclass(frozen=True, slots=True)
class Sent:
    """A clip on its way to the encoders."""

    digest: str  # sha256 of its content
    suffix: str  # ending of its name, as the server made it
    content: bytes


@dataclass(frozen=True, slots=True)
class Measured:
    """A clip's measurements, and the batch they were made in."""

    analysis: Analysis
    batch: int  # calls answered together
    distinct: int  # clips measured for them


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a reply; see `Reply`."""

    usage: Usage | None
    finish_reason: FinishReason | None
    timings_s: Mapping[str, float]
    logprobs: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a replica could not do what was asked. Of its own faults only the place: messages of exceptions may quote a user."""

    code: str
    message: str
    place: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Fault:
        """An exception as a letter."""
        if isinstance(error, EmollmError):
            return cls(error.code, str(error))
        frames = "; ".join(f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-4:])
        return cls("", "", f"{type(error).__name__} at {frames or '?'}")
