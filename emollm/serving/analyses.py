"""Measurements as jobs: clips are worked through one after another beside the chat, and results wait on disk until they are old or deleted.

The same clips sent again by the same client are the same job, so a client that retries starts nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from emollm.chat.backend import ChatBackend
from emollm.errors import MediaError
from emollm.exports.tables import FACE_HEADER, STRETCH_HEADER, Row, face_rows, stretch_rows, to_csv
from emollm.media.decode import digest_of
from emollm.serving.answers import ClipResult, ErrorBody, JobObject, JobProgress
from emollm.serving.errors import ApiError, as_api_error, error_object, log_fault
from emollm.serving.extension import analysis_response
from emollm.serving.limits import Limits
from emollm.serving.media import Received, Shelf, Turn
from emollm.serving.private import storing

State = Literal["queued", "in_progress", "completed", "failed", "cancelled"]
Table = Literal["stretches", "faces"]
ENDED = ("completed", "failed", "cancelled")
RETRY_AFTER_S = 10


class _Cancelled(Exception):  # noqa: N818 - never seen outside
    """Somebody asked to stop."""


@dataclass(eq=False, slots=True)
class _Job:
    owner: str
    id: str
    model: str
    folder: Path
    total: int
    everything: bool
    created: float
    state: State = "queued"
    done: int = 0
    share: float = 0.0
    stage: str = "waiting"
    stop: threading.Event = field(default_factory=threading.Event)
    future: Future[None] | None = None


class Analyses:
    """All jobs of a server.

    Args:
        backend: Measures.
        folder: Where clips and results lie; private.
        limits: How many and how long.
        let_go: Called with a clip's path and digest once it has been measured.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        backend: ChatBackend,
        folder: Path,
        limits: Limits,
        let_go: Callable[[Path, str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._backend = backend
        self._let_go = let_go
        self._folder = folder
        self._limits = limits
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="emollm-analyses")

    def submit(self, shelf: Shelf, turns: Sequence[Turn], model: str, *, everything: bool) -> tuple[JobObject, bool]:
        """Begin a job with the clips of `turns`, or find the one that has these clips already.

        Returns:
            The job, and whether it is new.

        Raises:
            ApiError: 429 if too many jobs of this client are not finished; what receiving clips raises.
        """
        self.sweep()
        with shelf.received(turns) as clips:
            paths = [path for message in clips.messages for path in message.clips]
            key = _key(shelf.owner, model, paths, everything=everything)
            job = _Job(shelf.owner, key, model, self._folder / key, len(clips.claims), everything, self._clock())
            with self._lock:
                found = self._jobs.get(key)
                if found is not None and found.state not in ("failed", "cancelled"):
                    return self._told(found), False
                self._check_room(shelf.owner)
                self._jobs[key] = job
            try:
                kept = _moved(clips, job.folder)
            except BaseException:
                self._drop(job)
                raise
        with self._lock:
            job.future = self._pool.submit(self._work, job, kept)
            return self._told(job), True

    def get(self, owner: str, key: str) -> JobObject:
        """One job of this owner, with its results if it has ended.

        Raises:
            ApiError: 404 if there is none of that id, or it is another's.
        """
        job = self._find(owner, key)
        with self._lock:
            told = self._told(job)
        if told.status not in ENDED:
            return told
        return told.model_copy(update={"results": [ClipResult.model_validate(row) for row in _read(job.folder / "results.json")]})

    def table(self, owner: str, key: str, table: Table) -> str:
        """Results as CSV: a row a stretch, or a row a frame and face; the first column says which clip.

        Raises:
            ApiError: 404 as `get`; 409 if the job has not ended.
        """
        job = self._find(owner, key)
        if job.state not in ENDED:
            raise ApiError(409, f"the job is {job.state}; ask again when it has ended.", code="job_not_ended", param="job_id")
        rows: list[Row] = _read(job.folder / f"{table}.json")
        return to_csv(rows, header=("clip", *(STRETCH_HEADER if table == "stretches" else FACE_HEADER)))

    def all_of(self, owner: str) -> list[JobObject]:
        """The newest first, without results."""
        self.sweep()
        with self._lock:
            return [self._told(job) for job in reversed(self._jobs.values()) if job.owner == owner]

    def cancel(self, owner: str, key: str) -> JobObject:
        """Ask a job to end; what is measured by then stays.

        Raises:
            ApiError: 404 as `get`.
        """
        job = self._find(owner, key)
        job.stop.set()
        if job.future is not None and job.future.cancel():
            self._end(job, [_left_out(i) for i in range(job.total)], [], [])
        return self.get(owner, key)

    def delete(self, owner: str, key: str) -> None:
        """End a job if it runs, and delete its results.

        Raises:
            ApiError: 404 as `get`.
        """
        self._drop(self._find(owner, key))

    def sweep(self) -> None:
        """Delete what is too old."""
        old = self._clock() - self._limits.keep_s
        with self._lock:
            jobs = [job for job in self._jobs.values() if job.created <= old]
        for job in jobs:
            self._drop(job)

    def states(self) -> dict[str, int]:
        """How many jobs are in which state."""
        with self._lock:
            found = dict.fromkeys(("queued", "in_progress", *ENDED), 0)
            for job in self._jobs.values():
                found[job.state] += 1
            return found

    def close(self) -> None:
        """Stop what runs and begin nothing more."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- the worker

    def _work(self, job: _Job, clips: Received) -> None:
        results: list[dict[str, Any]] = []
        stretches: list[Row] = []
        faces: list[Row] = []
        with self._lock:
            job.state, job.stage = "in_progress", "starting"
        for index, path in enumerate(clips.claims):
            if job.stop.is_set():
                results.append(_left_out(index))
                continue
            results.append(self._one(job, clips, index, path, stretches, faces))
            with suppress(OSError, MediaError):  # the job was deleted meanwhile
                self._let_go(path, digest_of(path))  # the results are what is kept of a clip, nothing else
            path.unlink(missing_ok=True)
            with self._lock:
                job.done = index + 1
        self._end(job, results, stretches, faces)

    def _one(self, job: _Job, clips: Received, index: int, path: Path, stretches: list[Row], faces: list[Row]) -> dict[str, Any]:
        def progress(share: float, stage: str) -> None:
            if job.stop.is_set():
                raise _Cancelled
            with self._lock:
                job.share, job.stage = (index + min(max(share, 0.0), 1.0)) / job.total, stage

        try:
            analysis = self._backend.analyze(path, progress)
            alone = Received((), {path: clips.claims[path]})
            told = analysis_response(self._backend, alone, job.model, everything=job.everything)
            stretches += [{"clip": index, **row} for row in stretch_rows(analysis)]
            faces += [{"clip": index, **row} for row in face_rows(analysis)]
            return ClipResult(index=index, status="completed", error=None, analysis=told).model_dump()
        except _Cancelled:
            return _left_out(index)
        except Exception as error:  # noqa: BLE001 - one clip must not end the others
            told_error = as_api_error(error)
            if told_error is not error and told_error.status == 500:
                log_fault(job.id, error)
            body = ErrorBody(**error_object(told_error)["error"])
            return ClipResult(index=index, status="failed", error=body, analysis=None).model_dump()

    def _end(self, job: _Job, results: list[dict[str, Any]], stretches: list[Row], faces: list[Row]) -> None:
        stored = True
        try:
            for name, rows in (("results", results), ("stretches", stretches), ("faces", faces)):
                (job.folder / f"{name}.json").write_text(json.dumps(rows), "utf-8")
        except OSError:  # deleted meanwhile, or no space
            stored = False
        states = {row["status"] for row in results}
        with self._lock:
            job.share, job.stage = 1.0, "done"
            if "cancelled" in states:
                job.state = "cancelled"
            else:
                job.state = "completed" if stored and "completed" in states else "failed"

    # -- inside

    def _told(self, job: _Job) -> JobObject:
        return JobObject(
            id=job.id,
            model=job.model,
            status=job.state,
            created_at=int(job.created),
            expires_at=int(job.created + self._limits.keep_s),
            progress=JobProgress(total=job.total, done=job.done, share=round(job.share, 3), stage=job.stage),
            results=None,
        )

    def _find(self, owner: str, key: str) -> _Job:
        self.sweep()
        with self._lock:
            found = self._jobs.get(key)
        if found is None or found.owner != owner:
            raise ApiError(404, "there is no such job here; it may have been deleted, or be too old.", code="job_not_found", param="job_id")
        return found

    def _check_room(self, owner: str) -> None:
        open_jobs = sum(job.owner == owner and job.state not in ENDED for job in self._jobs.values())
        if open_jobs >= self._limits.jobs:
            raise ApiError(
                429,
                f"{open_jobs} jobs are not finished; that is the limit. Wait for one, or cancel one.",
                code="server_busy",
                headers={"retry-after": str(RETRY_AFTER_S)},
            )

    def _drop(self, job: _Job) -> None:
        job.stop.set()
        if job.future is not None:
            job.future.cancel()
        with self._lock:
            if self._jobs.get(job.id) is job:
                del self._jobs[job.id]
        shutil.rmtree(job.folder, ignore_errors=True)


def _key(owner: str, model: str, paths: Sequence[Path], *, everything: bool) -> str:
    digest = hashlib.sha256(f"{owner}\n{model}\n{everything}".encode())
    for path in paths:
        with storing(), path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"analysis-{digest.hexdigest()[:32]}"


def _moved(clips: Received, folder: Path) -> Received:
    """Clips that stay when the request has been answered."""
    shutil.rmtree(folder, ignore_errors=True)  # of a job that failed or was cancelled
    with storing():
        folder.mkdir()
        moved = {path: path.replace(folder / path.name) for path in clips.claims}
    messages = tuple(replace(message, clips=tuple(moved[path] for path in message.clips)) for message in clips.messages)
    return Received(messages, {moved[path]: clue for path, clue in clips.claims.items()})


def _left_out(index: int) -> dict[str, Any]:
    return ClipResult(index=index, status="cancelled", error=None, analysis=None).model_dump()


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError:
        return []
