"""What a replica does: encoders that take clips in batches, and a language model that writes several replies side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from emollm.cluster.aside import answer_with
from emollm.cluster.halves import Halves
from emollm.cluster.letters import Ended, Fault, Measured, Sent
from emollm.private import private_folder
from emollm.values import Message, Sampling

FOLDER = "emollm-encoders-"


class Encoders:
    """Measures clips that arrive at about the same time together. What it is sent lies in a private folder and goes when it is measured.

    Args:
        halves: Of the system.
    """

    def __init__(self, halves: Halves) -> None:
        self._measure = halves.measuring()
        self._folder = private_folder(FOLDER)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="emollm-encoders")  # the loop stays free for calls that come in
        self._sizes: list[tuple[int, int]] = []
        answer_with(self)

    async def measure(self, clips: list[Sent]) -> list[Measured | Fault]:
        """A batch: each content is measured once, however often it was sent. A clip that cannot be measured does not stop the others."""
        found = await asyncio.get_running_loop().run_in_executor(self._worker, self._all, list(clips))
        return [found[clip.digest] for clip in clips]

    def sizes(self) -> list[tuple[int, int]]:
        """Of the last batches: how many calls, and how many clips were measured for them."""
        return self._sizes[-1000:]

    def _all(self, clips: Sequence[Sent]) -> dict[str, Measured | Fault]:
        distinct = {clip.digest: clip for clip in clips}
        self._sizes = [*self._sizes[-999:], (len(clips), len(distinct))]
        return {digest: self._one(clip, len(clips), len(distinct)) for digest, clip in distinct.items()}

    def _one(self, clip: Sent, batch: int, distinct: int) -> Measured | Fault:
        path = self._folder / f"{clip.digest}{clip.suffix}"
        try:
            path.write_bytes(clip.content)
            return Measured(self._measure(path), batch, distinct)
        except Exception as error:  # noqa: BLE001  told to whoever sent it
            return Fault.of(error)
        finally:
            path.unlink(missing_ok=True)


class Writers:
    """Writes replies and scores labels.

    Args:
        halves: Of the system.
        parallel: Calls at the same time.
    """

    def __init__(self, halves: Halves, parallel: int) -> None:
        self._writing = halves.writing()
        self._threads = ThreadPoolExecutor(parallel, thread_name_prefix="emollm-writers")
        self._busy = 0
        answer_with(self)

    def identity(self) -> tuple[str, str, str]:
        """System, scale and version."""
        return self._writing.system, self._writing.scale, self._writing.version

    def busy(self) -> int:
        """Replies that are being written."""
        return self._busy

    def forget(self, digest: str) -> None:
        """Drop what was read of a clip."""
        self._writing.forget_digest(digest)

    async def write(
        self, messages: Sequence[Message], analyses: Mapping[str, Any], sampling: Sampling
    ) -> AsyncIterator[str | Ended | Fault]:
        """Pieces of a reply as they come, and how it ended. Whoever cancels the call ends the reply at its next token."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | Ended | Fault] = asyncio.Queue()
        stops: list[Callable[[], None]] = []
        gone = False

        def put(piece: str | Ended | Fault) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        def run() -> None:
            try:
                with self._writing.told(messages, analyses) as asked:
                    reply = self._writing.reply(asked, sampling)
                    stops.append(reply.cancel)
                    if gone:
                        reply.cancel()
                    for piece in reply:
                        put(piece)
                    put(Ended(reply.usage, reply.finish_reason, dict(reply.timings_s), list(reply.logprobs)))
            except Exception as error:  # noqa: BLE001  told to whoever asked
                put(Fault.of(error))

        def ended(_: object) -> None:
            self._busy -= 1

        self._busy += 1
        running = self._threads.submit(run)
        running.add_done_callback(lambda done: loop.call_soon_threadsafe(ended, done))
        try:
            while True:
                piece = await pieces.get()
                yield piece
                if not isinstance(piece, str):
                    return
        finally:
            gone = True
            running.cancel()
            for stop in stops:
                stop()

    async def score(self, messages: Sequence[Message], analyses: Mapping[str, Any], labels: Sequence[str]) -> dict[str, float] | Fault:
        """See ChatBackend."""

        def run() -> dict[str, float] | Fault:
            try:
                with self._writing.told(messages, analyses) as asked:
                    return dict(self._writing.score(asked, labels))
            except Exception as error:  # noqa: BLE001  told to whoever asked
                return Fault.of(error)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)
