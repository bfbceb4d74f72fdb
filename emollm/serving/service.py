"""What all routes of a server share, and how a route waits for its work."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from emollm.chat.backend import ChatBackend
from emollm.serving.analyses import Analyses
from emollm.serving.answers import ErrorResponse, ModelObject
from emollm.serving.desk import Desk, Job, cancelled_when_gone
from emollm.serving.errors import ApiError
from emollm.serving.fetch import Fetcher
from emollm.serving.limits import Limits
from emollm.serving.media import Shelf
from emollm.serving.meters import Meters
from emollm.serving.private import private_folder
from emollm.serving.schema import OpenRequest
from emollm.serving.uploads import Uploads

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorResponse} for code in (400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503, 504, 507)
}


class Service:
    """A backend with everything around it.

    Args:
        backend: Called from worker threads.
        limits: What the server takes on.
        fetcher: Where clips by URL come from; nowhere if None.
    """

    def __init__(self, backend: ChatBackend, limits: Limits, fetcher: Fetcher | None = None) -> None:
        self.backend = backend
        self.limits = limits
        self.desk = Desk(limits)
        self.fetcher = fetcher or Fetcher((), limits)
        self.folder = private_folder()
        self.uploads = Uploads(self.folder, limits, backend.forget)
        self.analyses = Analyses(backend, self.folder, limits, self.uploads.let_go)
        self.meters = Meters()
        self.stopping = False
        self._since = int(time.time())
        self.meters.watch(
            {
                "emollm_requests_running": lambda: float(self.desk.load[0]),
                "emollm_requests_waiting": lambda: float(self.desk.load[1]),
                "emollm_uploads": lambda: float(self.uploads.size()[0]),
                "emollm_upload_bytes": lambda: float(self.uploads.size()[1]),
                "emollm_ready": lambda: float(not self.stopping),
                **{f"emollm_analyses_{state}": _state(self.analyses, state) for state in self.analyses.states()},
            }
        )

    @property
    def model(self) -> ModelObject:
        """The model served here."""
        system, scale = self.backend.system, self.backend.scale
        told = {"system": system, "scale": scale, "version": self.backend.version}
        return ModelObject(id=f"{system}-{scale}", created=self._since, emollm=told)

    def check_model(self, asked: str, also: Collection[str] = ()) -> ModelObject:
        """The model asked for by its id, its system's name, or another name it goes by on this route.

        Raises:
            ApiError: 404 if it is another.
        """
        model = self.model
        if asked not in (model.id, self.backend.system, *also):
            raise ApiError(
                404, f"the model {asked[:80]!r} does not exist here; this server has {model.id!r}.", code="model_not_found", param="model"
            )
        return model

    def shelf(self, request: Request) -> Shelf:
        """Where the clips of this client come from and are put."""
        return Shelf(owner_of(request), self.folder, self.uploads, self.fetcher)

    def submit(self, work: Callable[[Job], Any]) -> Job:
        """Queue work, unless the server is stopping.

        Raises:
            ApiError: 429 if the queue is full, 503 if the server is stopping.
        """
        self.check_open()
        return self.desk.submit(work)

    def check_open(self) -> None:
        """Refuse new work once the server is stopping.

        Raises:
            ApiError: 503.
        """
        if self.stopping:
            raise ApiError(503, "this server is stopping; ask again in a moment.", code="stopping", headers={"retry-after": "5"})

    @property
    def idle(self) -> bool:
        """Whether nothing runs that a client waits for."""
        return sum(self.desk.load) == 0

    def close(self) -> None:
        """Stop all work and delete all clips."""
        import shutil

        self.stopping = True
        self.desk.close()
        self.analyses.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _state(analyses: Analyses, state: str) -> Callable[[], float]:
    return lambda: float(analyses.states()[state])


def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


Shared = Annotated[Service, Depends(_service)]


def owner_of(request: Request) -> str:
    """Whose request it is: a short digest of the API key, the same for all where there is none."""
    return str(request.scope["state"].get("owner", ""))


async def finish(request: Request, job: Job) -> tuple[list[Any], Any]:
    """Wait for a job: its pieces and its result; a client that goes away frees its place."""
    async with cancelled_when_gone(request.receive, job):
        pieces = [piece async for piece in job.pieces() if piece is not None]
    if job.failure is not None:
        raise job.failure
    if job.result is None:
        raise ApiError(499, "the client went away.", code="client_closed")
    return pieces, job.result


async def answer(body: OpenRequest, request: Request, service: Service, work: Callable[[Job], BaseModel]) -> Response:
    """The result of some work, as JSON."""
    _, result = await finish(request, service.submit(work))
    return as_json(result, ignored(body))


def ignored(body: OpenRequest) -> dict[str, str]:
    """The header that names fields without effect."""
    names = body.ignored()
    return {"x-emollm-ignored": ", ".join(names)} if names else {}


def as_json(value: BaseModel, headers: Mapping[str, str] | None = None, status: int = 200) -> JSONResponse:
    """A value as a response."""
    return JSONResponse(value.model_dump(), status, headers=headers)
