"""Thin routes over a ChatBackend, and `build_server`, which puts them behind the gate."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from emollm.chat.backend import ChatBackend
from emollm.serving.desk import Desk, Job, cancelled_when_gone
from emollm.serving.errors import ApiError, install_handlers
from emollm.serving.extension import analysis_response, extension_of, warnings_of
from emollm.serving.gate import Gate
from emollm.serving.limits import Limits
from emollm.serving.media import Turn, read_turns, received
from emollm.serving.schema import (
    AnalyzeRequest,
    AnalyzeResponse,
    ChatCompletion,
    ChatRequest,
    Conversation,
    ErrorResponse,
    Health,
    ModelList,
    ModelObject,
    ScoreRequest,
    ScoreResponse,
)
from emollm.serving.stream import Envelope, EventStream, Outcome
from emollm.values import Sampling

ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ErrorResponse} for code in (400, 401, 404, 408, 413, 415, 429, 500, 503, 504)}
router = APIRouter(responses=ERRORS)


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes share."""

    backend: ChatBackend
    limits: Limits
    desk: Desk
    since: int = field(default_factory=lambda: int(time.time()))

    @property
    def model(self) -> ModelObject:
        """The model served here."""
        system, scale = self.backend.system, self.backend.scale
        told = {"system": system, "scale": scale, "version": self.backend.version}
        return ModelObject(id=f"{system}-{scale}", created=self.since, emollm=told)

    def check_model(self, asked: str) -> ModelObject:
        """The model asked for by its id or by its system's name.

        Raises:
            ApiError: 404 if it is another.
        """
        model = self.model
        if asked not in (model.id, self.backend.system):
            raise ApiError(
                404, f"the model {asked[:80]!r} does not exist here; this server has {model.id!r}.", code="model_not_found", param="model"
            )
        return model


def _service(request: Request) -> Service:
    return request.app.state.service


Shared = Annotated[Service, Depends(_service)]


@router.get("/health", responses={200: {"model": Health}})
async def health() -> Response:
    """Whether the server is up; needs no key."""
    return _json(Health())


@router.get("/v1/models", responses={200: {"model": ModelList}})
async def models(service: Shared) -> Response:
    """The model served here."""
    return _json(ModelList(data=[service.model]))


@router.get("/v1/models/{model_id}", responses={200: {"model": ModelObject}})
async def model(model_id: str, service: Shared) -> Response:
    """One model by its id."""
    return _json(service.check_model(model_id))


@router.post("/v1/chat/completions", responses={200: {"model": ChatCompletion, "content": {"text/event-stream": {}}}})
async def chat(body: ChatRequest, request: Request, service: Shared) -> Response:
    """Answer the last message, whole or as a stream."""
    body.refuse_unsupported()
    envelope = Envelope(service.check_model(body.model).id)
    turns, sampling = read_turns(body.messages, service.limits), body.sampling(service.limits)
    job = service.desk.submit(lambda job: _reply(service.backend, turns, sampling, job))
    if body.stream:
        include_usage = bool(body.stream_options and body.stream_options.include_usage)
        return EventStream(job, envelope, include_usage=include_usage, headers=_ignored(body))
    text, outcome = await _finish(request, job)
    return _json(envelope.whole(text, outcome), _ignored(body))


@router.post("/v1/emollm/score", responses={200: {"model": ScoreResponse}})
async def score(body: ScoreRequest, request: Request, service: Shared) -> Response:
    """Probability of each label as the answer to the last message."""
    model = service.check_model(body.model).id
    if len(body.labels) > service.limits.labels:
        raise ApiError(400, f"{len(body.labels)} labels; the limit is {service.limits.labels}.", code="too_many_labels", param="labels")
    turns = read_turns(body.messages, service.limits)

    def work(job: Job) -> ScoreResponse:
        with received(turns) as asked:
            found = service.backend.score(asked.messages, body.labels)
            said = warnings_of(service.backend, asked)
        return ScoreResponse(id=f"score-{uuid.uuid4().hex}", model=model, probabilities=dict(found), warnings=said)

    return await _answer(body, request, service, work)


@router.post("/v1/emollm/analyze", responses={200: {"model": AnalyzeResponse}})
async def analyze(body: AnalyzeRequest, request: Request, service: Shared) -> Response:
    """Measure a clip without asking the language model."""
    model = service.check_model(body.model).id
    turns = read_turns(body.messages, service.limits)
    if (clips := sum(len(turn.uploads) for turn in turns)) != 1:
        raise ApiError(400, f"the messages must hold exactly one clip, but there are {clips}.", code="invalid_value", param="messages")

    def work(job: Job) -> AnalyzeResponse:
        with received(turns) as asked:
            return analysis_response(service.backend, asked, model, everything=body.measurements)

    return await _answer(body, request, service, work)


def _reply(backend: ChatBackend, turns: tuple[Turn, ...], sampling: Sampling, job: Job) -> Outcome | None:
    """Write a reply piece by piece, in a worker thread."""
    with received(turns) as asked:
        reply = backend.reply(asked.messages, sampling)
        job.on_cancel(reply.cancel)
        for piece in reply:
            job.emit(piece)
        if job.cancelled:
            return None
        return Outcome(reply.finish_reason, reply.usage, extension_of(backend, asked, reply.timings_s))


async def _answer(body: Conversation, request: Request, service: Service, work: Callable[[Job], BaseModel]) -> Response:
    _, result = await _finish(request, service.desk.submit(work))
    return _json(result, _ignored(body))


async def _finish(request: Request, job: Job) -> tuple[str, Any]:
    """Wait for a job: its text and its result; a client that goes away frees its place."""
    async with cancelled_when_gone(request.receive, job):
        text = "".join([piece async for piece in job.pieces() if piece])
    if job.failure is not None:
        raise job.failure
    if job.result is None:
        raise ApiError(499, "the client went away.", code="client_closed")
    return text, job.result


def _ignored(body: Conversation) -> dict[str, str]:
    names = body.ignored()
    return {"x-emollm-ignored": ", ".join(names)} if names else {}


def _json(value: BaseModel, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(value.model_dump(), headers=headers)


def build_server(backend: ChatBackend, *, api_key: str | None = None, limits: Limits | None = None) -> FastAPI:
    """An OpenAI-compatible server around a backend.

    Args:
        backend: Called from worker threads, `limits.parallel` at a time.
        api_key: Asked for on every address but /health.
        limits: What the server takes on; the defaults suit one CPU.
    """
    from emollm import __version__

    limits = limits or Limits()
    service = Service(backend, limits, Desk(limits))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.desk.close()

    app = FastAPI(title="emollm", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service = service
    app.include_router(router)
    install_handlers(app)
    app.add_middleware(Gate, api_key=api_key, limits=limits)
    return app
