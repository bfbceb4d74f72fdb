"""The process that decodes other people's files: it knows one clip at a time, opens nothing else, and may die without harm.

Messages on both pipes are a line of JSON; where it names `bytes`, so many raw bytes follow. What comes from here is read by `guarded` as
data only, never as objects.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

import cv2

from emollm.errors import MediaError
from emollm.media.decode import Limits, Reel
from emollm.values import Floats

MIB = 1024 * 1024


def main() -> None:
    """Decode clip after clip, as asked on standard input, until that ends."""
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    order = json.loads(asked.readline() or b"{}")
    cv2.setNumThreads(1)  # each thread takes address space
    _confine(order.get("memory_mb", 2048))
    _tell(told, {"is": "ready"})
    while line := asked.readline():
        order = json.loads(line)
        _allow_seconds(order["cpu_s"])
        _decode(Path(order["path"]), Limits(**order["limits"]), told)


def _decode(path: Path, limits: Limits, told: BinaryIO) -> None:
    try:
        reel = Reel(path, limits)
        _tell(told, {"is": "reel", "digest": reel.digest, "heard": reel.audio is not None, **_state(reel)}, reel.audio)
        for time_s, image in reel.frames():
            _tell(told, {"is": "frame", "time_s": time_s, "shape": image.shape}, image)
        _tell(told, {"is": "end", **_state(reel)})
    except MediaError as error:
        _tell(told, {"is": "fault", "message": str(error), "code": error.code})
    except MemoryError:
        _tell(told, {"is": "fault", "message": f"{path.name} needs more memory to decode than it may have.", "code": "media_too_large"})


def _state(reel: Reel) -> dict[str, Any]:
    """What is known of a reel by now."""
    return {
        "kind": reel.kind,
        "still": reel.still,
        "picture": reel.picture,
        "expected": reel.expected,
        "duration_s": reel.duration_s,
        "warnings": reel.warnings,
    }


def _tell(to: BinaryIO, message: dict[str, Any], payload: Floats | Any | None = None) -> None:
    data = b"" if payload is None else payload.tobytes()
    to.write(json.dumps({**message, "bytes": len(data)}).encode() + b"\n")
    to.write(data)
    to.flush()


def _confine(memory_mb: int) -> None:
    """Give up what decoding does not need: more memory, writing files, many open ones, core dumps."""
    import resource

    for what, most in (
        (resource.RLIMIT_AS, memory_mb * MIB),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        _limit(resource, what, most)


def _allow_seconds(seconds: float) -> None:
    """Processor time for the coming clip; beyond it the system ends this process."""
    import resource

    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _limit(resource: Any, what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (value, value))


if __name__ == "__main__":
    main()
