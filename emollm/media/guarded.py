"""A `Reel` that is decoded elsewhere: in a process with little memory, little time and nothing to write to, so that a file that crashes a
codec, or never ends, costs one request.

Only where the system can limit processes so (not on Windows); `available` tells.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emollm.errors import MediaError
from emollm.media.decode import DEFAULT_LIMITS, Limits, digest_of
from emollm.values import AUDIO_HZ, Floats

HEAD_BYTES = 65_536  # of one message
START_S = 60.0  # until a new process is ready
FEW_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}  # each takes address space
SPARE = 1  # processes kept for the next clip
CLIPS = 16  # a process decodes so many, then a fresh one takes over


def available() -> bool:
    """Whether this system can limit processes."""
    return sys.platform != "win32"


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a decoding process may use."""

    wall_s: float = 120.0  # of waiting for it, for one clip
    cpu_s: float = 240.0  # of all its threads, for one clip
    memory_mb: int = 3072  # address space
    seconds: float = 600.0  # of a clip; one that lies about its length is read up to here
    longer: Literal["shorten", "refuse"] = "refuse"  # what is done with a clip that claims more seconds than these


class Guard:
    """Decoding processes, ready when they are needed. Safe from any thread.

    Attributes:
        failures: How many processes died or were ended over a clip.
    """

    def __init__(self, confinement: Confinement | None = None) -> None:
        self._confinement = confinement or Confinement()
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._lock = threading.Lock()
        self._closed = False
        self.failures = 0

    def open(self, path: Path, limits: Limits = DEFAULT_LIMITS) -> GuardedReel:
        """The clip at a path, opened elsewhere.

        Raises:
            MediaError: What `Reel` raises; `decoder_failed` if the process died, `decode_timeout` if it was too slow, `media_too_long`.
        """
        allowed = replace(limits, seconds=min(limits.seconds, self._confinement.seconds), longer=self._confinement.longer)
        digest = digest_of(path)  # here, for what the other process says of it is not to be believed
        return GuardedReel(self, self._take(), path, digest, allowed, self._confinement)

    def warm(self) -> None:
        """Start a process in advance."""
        with self._lock:
            if not self._idle and not self._closed:
                self._idle.append(self._start())

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            self._closed = True
            everyone = list(self._all)
            self._all.clear()
            self._idle.clear()
        for process in everyone:
            process.kill()

    def _start(self) -> _Process:
        process = _Process(self._confinement)
        self._all.add(process)
        return process

    def _take(self) -> _Process:
        with self._lock:
            return self._idle.pop() if self._idle else self._start()

    def _give_back(self, process: _Process) -> None:
        process.clips += 1
        with self._lock:
            if not self._closed and process.clips < CLIPS and len(self._idle) < SPARE:
                self._idle.append(process)
                return
        self._end(process)

    def _end(self, process: _Process, *, failed: bool = False) -> None:
        with self._lock:
            self._all.discard(process)
            self.failures += failed
        process.kill()


class GuardedReel:
    """See `decode.Reel`: the same members, filled from the other process. Whoever does not read to the end must call `close`."""

    def __init__(self, guard: Guard, process: _Process, path: Path, digest: str, limits: Limits, confinement: Confinement) -> None:
        self.digest, self.name = digest, path.name
        self._guard, self._process, self._limits = guard, process, limits
        self._open = True
        try:
            process.ask({"path": str(path.resolve()), "limits": asdict(limits), "cpu_s": confinement.cpu_s})
            self._left_s = confinement.wall_s
            said, data = self._next("reel")
            self._learn(said)
            self.audio: Floats | None = np.frombuffer(data, np.float32) if said["heard"] else None
            if self.audio is not None and len(self.audio) > (limits.seconds + 1) * AUDIO_HZ:
                raise self._failed("it sent more sound than there can be")
        except BaseException:
            self.close()
            raise

    def frames(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """See `Reel.frames`."""
        try:
            while True:
                said, data = self._next("frame", "end")
                if said["is"] == "end":
                    self._learn(said)
                    self._open = False
                    self._guard._give_back(self._process)
                    return
                height, width, _ = said["shape"]
                yield float(said["time_s"]), np.frombuffer(data, np.uint8).reshape(height, width, 3)
        finally:
            self.close()

    def close(self) -> None:
        """End the process if the clip was not read to its end."""
        if self._open:
            self._open = False
            self._guard._end(self._process)

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self.close()

    def _learn(self, said: dict[str, Any]) -> None:
        self.kind: Literal["video", "audio", "image"] = said["kind"]
        self.still, self.picture = bool(said["still"]), bool(said["picture"])
        self.expected, self.duration_s = int(said["expected"]), float(said["duration_s"])
        self.warnings = tuple(str(warning) for warning in said["warnings"])

    def _next(self, *wanted: str) -> tuple[dict[str, Any], bytearray]:
        """The next message, which must be one of those wanted."""
        most = max(4 * self._limits.side_px**2, round(4 * AUDIO_HZ * (self._limits.seconds + 2)))
        began = time.monotonic()
        try:
            said, data = self._process.read(self._left_s, most)
        except TimeoutError:
            self._drop(failed=True)
            raise MediaError(
                f"{self.name} took too long to decode and was given up. Try a shorter clip, or another format.", code="decode_timeout"
            ) from None
        except (EOFError, ValueError, KeyError, OSError) as error:
            raise self._failed(str(error)) from None
        self._left_s -= time.monotonic() - began
        if said["is"] == "fault":
            self._open = False
            self._guard._give_back(self._process)
            raise MediaError(str(said["message"]), code=str(said["code"]))
        if said["is"] not in wanted:
            raise self._failed("it said something else than was asked")
        return said, data

    def _failed(self, why: str) -> MediaError:
        self._drop(failed=True)
        return MediaError(
            f"the decoder failed on {self.name} ({why}); other clips are not affected. The file may be damaged.", code="decoder_failed"
        )

    def _drop(self, *, failed: bool) -> None:
        if self._open:
            self._open = False
            self._guard._end(self._process, failed=failed)


class _Process:
    """One decoding process and its pipes."""

    def __init__(self, confinement: Confinement) -> None:
        import emollm

        home = str(Path(emollm.__file__).parent.parent)
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV") if name in os.environ}
        self._child = subprocess.Popen(
            [sys.executable, "-m", "emollm.media.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={**kept, "PYTHONPATH": home, **FEW_THREADS},  # and no key or address of ours
            bufsize=0,
        )
        self._ready = False
        self._rest = b""
        self.clips = 0
        self.ask({"memory_mb": confinement.memory_mb})

    @property
    def id(self) -> int:
        """Of the system's process."""
        return self._child.pid

    def ask(self, order: dict[str, Any]) -> None:
        """Send an order; a process that is gone shows itself when it is read from."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(order).encode() + b"\n")
        except OSError:
            return

    def read(self, within_s: float, most: int) -> tuple[dict[str, Any], bytearray]:
        """The next message and what follows it.

        Raises:
            TimeoutError: It did not come in time.
            EOFError: The process is gone.
            ValueError: It is no message, or too large.
        """
        if not self._ready:
            self._message(time.monotonic() + START_S, 0)
            self._ready = True
        return self._message(time.monotonic() + within_s, most)

    def kill(self) -> None:
        """End it at once."""
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._child.wait()

    def _message(self, due: float, most: int) -> tuple[dict[str, Any], bytearray]:
        while b"\n" not in self._rest:
            if len(self._rest) > HEAD_BYTES:
                raise ValueError("it said too much at once")
            self._rest += self._more(due, HEAD_BYTES)
        line, _, self._rest = self._rest.partition(b"\n")
        said = json.loads(line)
        size = int(said["bytes"])
        if not 0 <= size <= most:
            raise ValueError("it sent more than there can be")
        pieces, got = [self._rest[:size]], min(len(self._rest), size)
        self._rest = self._rest[size:]
        while got < size:
            pieces.append(self._more(due, size - got))
            got += len(pieces[-1])
        return said, bytearray().join(pieces)  # arrays over it can be written to, as those of a `Reel`

    def _more(self, due: float, most: int) -> bytes:
        assert self._child.stdout is not None
        left = due - time.monotonic()
        if left <= 0 or not select.select([self._child.stdout], [], [], left)[0]:
            raise TimeoutError
        data = os.read(self._child.stdout.fileno(), min(most, 1 << 20))
        if not data:
            raise EOFError("its process ended")
        return data
