"""A ChatBackend whose work is done by replicas: the server in front of it keeps uploads, jobs and keys, and need not know.

What was measured is kept here, by content, and sent along with every question; replicas keep nothing but what the language model has read,
and drop that as well when a clip is to be forgotten.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from emollm.chat.backend import Progress, Reply
from emollm.cluster.aside import ask_all
from emollm.cluster.letters import Fault, Measured, Sent
from emollm.errors import BackendError, EmollmError
from emollm.media.decode import digest_of
from emollm.values import Analysis, Message, Sampling

log = logging.getLogger("emollm.cluster")
SEEN = 32  # analyses at hand
TICK_S = 0.1  # how soon somebody who waits for encoders is asked whether still so
ASK_S = 30.0  # until every replica has answered


class ClusterBackend:
    """See ChatBackend. Any number of threads may call it.

    Args:
        encoders: Handle of the deployment of `replicas.Encoders`.
        writers: Handle of the deployment of `replicas.Writers`.
        identity: System, scale and version.
    """

    def __init__(self, encoders: Any, writers: Any, identity: tuple[str, str, str]) -> None:
        self._encoders, self._writers = encoders, writers
        self.system, self.scale, self.version = identity
        self._seen: OrderedDict[str, Analysis] = OrderedDict()
        self._forgotten = 0  # how often something was
        self._lock = threading.Lock()

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        """See ChatBackend. `timings_s` tells how many calls the encoders answered in the same batch, and with how many clips."""
        report = progress or (lambda share, what: None)
        found = self._measured(path, lambda: report(0.0, "waiting for the encoders"))
        report(1.0, "done")
        return found

    def forget(self, path: Path) -> None:
        """See ChatBackend. Every replica has dropped the clip when this returns."""
        digest = digest_of(path)
        with self._lock:
            self._seen.pop(digest, None)
            self._forgotten += 1
        with _in_our_words():
            ask_all(self._writers.app_name, "forget", digest, timeout_s=ASK_S)

    def reply(self, messages: Sequence[Message], sampling: Sampling) -> Reply:
        """See ChatBackend. Clips are analysed before the first piece is written."""
        if not messages or messages[-1].role != "user":
            raise BackendError("the last message must be the user's.", code="invalid_request")
        asked = list(messages)
        return _FarReply(lambda reply: self._write(reply, asked, sampling))  # type: ignore[arg-type]  # it is given itself

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> Mapping[str, float]:
        """See ChatBackend."""
        told, analyses = self._told(messages, lambda: None)
        with _in_our_words():
            call = self._writers.options(session_id=_conversation(told)).score.remote(told, analyses, list(labels))
            found: dict[str, float] = _opened(call.result())
        return found

    def batches(self) -> list[tuple[int, int]]:
        """Of the last batches of all encoders: how many calls, and how many clips were measured for them."""
        return [(calls, clips) for sizes in ask_all(self._encoders.app_name, "sizes", timeout_s=ASK_S) for calls, clips in sizes]

    def busy(self) -> list[int]:
        """Of each writer: how many replies it is writing."""
        return ask_all(self._writers.app_name, "busy", timeout_s=ASK_S)

    # -- inside

    def _write(self, reply: _FarReply, messages: Sequence[Message], sampling: Sampling) -> Iterator[str]:
        def ask() -> None:
            if reply.cancelled:
                raise _GoneError

        try:
            told, analyses = self._told(messages, ask)
        except _GoneError:
            reply.finish_reason = "cancelled"
            return
        with _in_our_words():
            handle = self._writers.options(session_id=_conversation(told), stream=True)
            stream = handle.write.remote(told, analyses, sampling)
            reply.stop_with(stream.cancel)
            try:
                while isinstance(piece := _opened(next(stream)), str):
                    yield piece
            except GeneratorExit:  # the reader went away between two pieces
                stream.cancel()
                raise
            except Exception:
                if not reply.cancelled:
                    raise
                reply.finish_reason = "cancelled"
                return
            finally:
                reply.stop_with(None)
        reply.usage, reply.finish_reason = piece.usage, piece.finish_reason
        reply.timings_s, reply.logprobs = dict(piece.timings_s), list(piece.logprobs)

    def _told(self, messages: Sequence[Message], ask: Callable[[], None]) -> tuple[list[Message], dict[str, Analysis]]:
        """Messages with clips named by their digests, and what was measured in each."""
        analyses: dict[str, Analysis] = {}
        told = []
        for message in messages:
            found = [self._measured(path, ask) for path in message.clips]
            analyses |= {analysis.digest: analysis for analysis in found}
            told.append(replace(message, clips=tuple(Path(analysis.digest) for analysis in found)))
        return told, analyses

    def _measured(self, path: Path, ask: Callable[[], None]) -> Analysis:
        digest = digest_of(path)
        with self._lock:
            if digest in self._seen:
                self._seen.move_to_end(digest)
                return replace(self._seen[digest], name=path.name)
            forgotten = self._forgotten
        with _in_our_words():
            call = self._encoders.measure.remote(Sent(digest, path.suffix, path.read_bytes()))
            found: Measured = _opened(_waited(call, ask))
        counts = {"batch_calls": float(found.batch), "batch_clips": float(found.distinct)}
        analysis = replace(found.analysis, name=path.name, digest=digest, timings_s={**found.analysis.timings_s, **counts})
        with self._lock:
            if forgotten == self._forgotten:  # else perhaps this very clip, while it was looked at: nothing is kept then
                self._seen[digest] = analysis
                while len(self._seen) > SEEN:
                    self._seen.popitem(last=False)
        return analysis


class _GoneError(Exception):
    """Nobody waits any more."""


class _FarReply(Reply):
    """A reply that is written elsewhere, and told there when nobody wants it any more."""

    _stop: Callable[[], None] | None = None

    def stop_with(self, stop: Callable[[], None] | None) -> None:
        """What `cancel` calls from now on; at once if it was called before."""
        self._stop = stop
        if stop is not None and self.cancelled:
            stop()

    def cancel(self) -> None:
        """See Reply. Asking far away may take a moment, which an event loop that calls this does not have."""
        super().cancel()
        if (stop := self._stop) is not None:
            threading.Thread(target=stop, name="emollm-cancel", daemon=True).start()


def _waited(call: Any, ask: Callable[[], None]) -> Any:
    """The result of a call; `ask` may raise to give it up."""
    while True:
        try:
            return call.result(timeout_s=TICK_S)
        except TimeoutError:
            try:
                ask()
            except BaseException:
                call.cancel()
                raise


def _opened(letter: Any) -> Any:
    """What a replica sent.

    Raises:
        EmollmError: What it refused.
        RuntimeError: Where it failed.
    """
    if not isinstance(letter, Fault):
        return letter
    if letter.place:
        log.error("a replica failed: %s", letter.place)
        raise RuntimeError("a replica failed on this request")
    raise EmollmError(letter.message, code=letter.code)


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Refusals and losses of Ray as errors that a server knows to tell.

    Raises:
        BackendError: `server_busy` if all replicas are full and no more may wait; `replica_lost` if one died over it or does not answer.
    """
    from ray.exceptions import RayActorError
    from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError

    try:
        yield
    except BackPressureError as error:
        raise BackendError("all replicas are busy, and no more requests may wait. Try again in a moment.", code="server_busy") from error
    except (RayActorError, DeploymentUnavailableError, ReplicaUnavailableError) as error:
        raise BackendError("the process that worked on this ended; another takes its place. Ask again.", code="replica_lost") from error
    except TimeoutError as error:
        raise BackendError("a replica does not answer. Ask again in a moment.", code="replica_lost") from error


def _conversation(messages: Sequence[Message]) -> str:
    """The same for all turns of a conversation, so that they reach the replica that has read the earlier ones."""
    first = next((message for message in messages if message.role == "user"), messages[0])
    return hashlib.sha256("\n".join([first.text, *map(str, first.clips)]).encode(errors="replace")).hexdigest()[:16]
