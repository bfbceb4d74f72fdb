"""One thread that shares a core among requests: they join and leave between steps, and none waits for another's end.

A step gives every running reply one token, and new prompts a bounded number of positions, so that long prompts do not silence the others.
The thread ends when it has had nothing to do for a while and begins again with the next request.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import torch

from emollm.engine.core import Core
from emollm.engine.jobs import Job
from emollm.engine.prefixes import Prefixes, shows
from emollm.engine.settings import EngineSettings
from emollm.errors import BackendError

IDLE_S = 3.0
STOP_S = 5.0
REMEMBERED = 256  # clips that were forgotten, so that prompts already on their way are not kept

_LIVING: weakref.WeakSet[Scheduler] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    for scheduler in list(_LIVING):
        scheduler.stop()


class Scheduler:
    """Runs jobs on a core.

    Args:
        core: Used by this scheduler's thread alone.
        settings: Ceilings.
    """

    def __init__(self, core: Core, settings: EngineSettings) -> None:
        self._core = core
        self._settings = settings
        self._waiting: deque[Job] = deque()
        self._orders: deque[tuple[Callable[[], None], Future[None]]] = deque()
        self._running: list[Job] = []
        self._prefixes = Prefixes(settings.prefixes, core.close, whole=not core.crops)
        self._room = max(settings.memory_mb * 2**20 // core.position_bytes, 1)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._dead = ""
        self._stopped = False
        _LIVING.add(self)
        self._forgotten: OrderedDict[str, float] = OrderedDict()  # digest -> when, on the monotonic clock
        self.failures = 0  # of the core, since the engine began

    # -- called by any thread

    def submit(self, job: Job) -> None:
        """Queue a job.

        Raises:
            BackendError: If too many wait already, or the core is beyond help.
        """
        with self._changed:
            if self._dead:
                raise BackendError(self._dead, code="backend_failed")
            if len(self._waiting) >= self._settings.waiting:
                raise BackendError(
                    f"{len(self._running)} requests are being answered and {len(self._waiting)} are waiting. Try again in a moment.",
                    code="server_busy",
                )
            self._waiting.append(job)
            self._wake()

    def forget(self, digest: str) -> None:
        """Drop what is kept of a clip; returns when it is done. Replies that are being written about it end, and are then not kept."""
        self._order(lambda: self._forget(digest))

    def clear(self) -> None:
        """Drop all kept prompts; returns when it is done."""
        self._order(self._prefixes.clear)

    @property
    def load(self) -> tuple[int, int]:
        """How many requests run and how many wait."""
        with self._changed:
            return len(self._running), len(self._waiting)

    def _order(self, what: Callable[[], None]) -> None:
        done: Future[None] = Future()
        with self._changed:
            self._orders.append((what, done))
            self._wake()
        done.result()

    def _wake(self) -> None:
        if self._stopped:
            raise BackendError("the engine has been stopped.", code="backend_failed")
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="emollm-engine", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def stop(self) -> None:
        """End the engine's thread after its step; called at exit, since the interpreter must not end while a thread is in native code."""
        with self._changed:
            self._stopped, thread = True, self._thread
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(STOP_S)

    # -- the engine's thread

    def _work(self) -> None:
        with torch.inference_mode():
            while True:
                with self._changed:
                    idle_since = time.monotonic()
                    while not (self._waiting or self._orders or self._running or self._stopped):
                        left = IDLE_S - (time.monotonic() - idle_since)
                        if left <= 0:
                            self._thread = None
                            return
                        self._changed.wait(left)
                    if self._stopped:
                        break
                    orders = list(self._orders)
                    self._orders.clear()
                for what, done in orders:
                    _carry_out(what, done)
                try:
                    self._sweep()
                    self._admit()
                    self._step()
                except Exception as error:  # noqa: BLE001 - a fault of the engine itself must not leave anyone waiting
                    self._broken(error)
            self._broken(BackendError("the engine has been stopped.", code="backend_failed"))

    def _step(self) -> None:
        """One pass of the core for all that run."""
        writing = any(not job.reading for job in self._running)
        budget = self._settings.chunk if writing else self._settings.chunk_alone
        plan: list[tuple[Job, list[Any]]] = []
        for job in list(self._running):
            reading = job.reading
            if reading and budget <= 0:
                continue
            try:
                work = job.next(self._core, budget)
            except Exception as error:  # noqa: BLE001 - one request must not end the others
                self._finish(job, error)
                continue
            if reading:
                budget -= sum(len(embeds) for _, embeds in work)
            plan.append((job, work))
        if not plan:
            return
        try:
            logits = self._core.forward([one for _, work in plan for one in work])
        except Exception as error:  # noqa: BLE001 - told to everyone who is waiting for this step
            self._broken(error)
            return
        at = 0
        for job, work in plan:
            rows = logits[at : at + len(work)]
            at += len(work)
            if job.reading:
                continue
            try:
                job.take(self._core, rows)
            except Exception as error:  # noqa: BLE001 - as above
                self._finish(job, error)
                continue
            if job.done:
                self._finish(job)

    def _sweep(self) -> None:
        """End what nobody waits for and what is late."""
        now = time.monotonic()
        for job in list(self._running):
            if job.gone:
                job.end_early()
                self._finish(job)
            elif _late(job, now):
                self._finish(job, _too_late())
        with self._changed:
            waiting = [job for job in self._waiting if job.gone or _late(job, now)]
            for job in waiting:
                self._waiting.remove(job)
        for job in waiting:
            if job.gone:
                job.end_early()
            else:
                job.fail(_too_late())

    def _admit(self) -> None:
        """Let waiting jobs begin, in order of arrival, while there is room."""
        while True:
            with self._changed:
                if not self._waiting or len(self._running) >= self._settings.streams:
                    return
                job = self._waiting[0]
                if not self._has_room(job):
                    return
                self._waiting.popleft()
                self._running.append(job)
            if any(when >= job.prompt.since and shows(job.prompt.owners, digest) for digest, when in self._forgotten.items()):
                job.keeps = False
            try:
                found = self._prefixes.find(job.prompt.owners)
                if found is None:
                    job.sequence = self._core.open()
                else:
                    job.sequence = self._core.resume(*found)
                    job.reused = found[1]
            except Exception as error:  # noqa: BLE001 - as in a step
                self._finish(job, error)

    def _has_room(self, job: Job) -> bool:
        """Whether a job fits into memory, after dropping kept prompts if need be; one that runs alone always begins."""
        grain = self._core.granule
        used = sum(-(-running.need // grain) * grain + grain for running in self._running)
        while self._running or self._prefixes.positions:
            kept = sum(-(-n // grain) * grain for n in self._prefixes.positions)
            if used + kept + job.need + 2 * grain <= self._room:
                return True
            if not self._prefixes.evict():
                return not self._running
        return True

    def _finish(self, job: Job, error: BaseException | None = None) -> None:
        if error is not None:
            job.fail(error)
        with self._changed:
            self._running.remove(job)
        if job.sequence is not None and job.keeps and self._settings.prefixes and job.sequence.length:
            self._prefixes.add(job.kept_owners(), self._core.keep(job.sequence))
        job.release(self._core)

    def _broken(self, error: Exception) -> None:
        """The core failed: tell everyone who was in this step, and begin anew without memories."""
        self.failures += 1
        told = BackendError(f"the language model failed: {error}", code="backend_failed")
        told.__cause__ = error
        with self._changed:
            hit, self._running = self._running, []
        for job in hit:
            job.sequence = None
            job.fail(told)
        self._prefixes = Prefixes(self._settings.prefixes, self._core.close, whole=not self._core.crops)
        try:
            self._core.reset()
        except Exception as worse:  # noqa: BLE001 - then the engine says so instead of trying
            with self._changed:
                self._dead = f"the language model failed and cannot be started again: {worse}"
                waiting = list(self._waiting)
                self._waiting.clear()
            for job in waiting:
                job.fail(BackendError(self._dead, code="backend_failed"))

    def _forget(self, digest: str) -> None:
        self._prefixes.forget(digest)
        self._forgotten.pop(digest, None)
        self._forgotten[digest] = time.monotonic()
        while len(self._forgotten) > REMEMBERED:
            self._forgotten.popitem(last=False)
        with self._changed:
            jobs = [*self._running, *self._waiting]
        for job in jobs:
            if shows(job.prompt.owners, digest):
                job.keeps = False


def _carry_out(what: Callable[[], None], done: Future[None]) -> None:
    try:
        what()
    except Exception as error:  # noqa: BLE001 - raised where it was ordered
        done.set_exception(error)
    else:
        done.set_result(None)


def _late(job: Job, now: float) -> bool:
    return job.prompt.due is not None and now > job.prompt.due


def _too_late() -> BackendError:
    return BackendError("the answer was not complete before its deadline.", code="deadline_exceeded")
