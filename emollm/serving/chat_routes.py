"""Chat, scores of labels, and the measurement of one clip."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import Response

from emollm.chat.backend import Reply
from emollm.serving.answers import AnalyzeResponse, ChatCompletion, ScoreResponse
from emollm.serving.desk import Job
from emollm.serving.errors import ApiError
from emollm.serving.extension import analysis_response, extension_of, warnings_of
from emollm.serving.media import Shelf, Turn, read_turns
from emollm.serving.meters import Meters
from emollm.serving.schema import AnalyzeRequest, ChatRequest, ScoreRequest
from emollm.serving.service import ERRORS, Service, Shared, answer, as_json, finish, ignored
from emollm.serving.stream import Ending, Envelope, EventStream, Outcome, Piece, logprobs_of

router = APIRouter(responses=ERRORS)


@router.post("/v1/chat/completions", responses={200: {"model": ChatCompletion, "content": {"text/event-stream": {}}}})
async def chat(body: ChatRequest, request: Request, service: Shared) -> Response:
    """Answer the last message, whole or as a stream."""
    body.refuse_unsupported(service.limits)
    envelope = Envelope(service.check_model(body.model).id)
    turns = read_turns(body.messages, service.limits, service.fetcher)
    shelf, count = service.shelf(request), body.n or 1
    job = service.submit(lambda job: _write(service, shelf, turns, body, job))
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        return EventStream(job, envelope, choices=count, include_usage=usage, headers=ignored(body))
    pieces, outcome = await finish(request, job)
    return as_json(envelope.whole(pieces, outcome), ignored(body))


@router.post("/v1/emollm/score", responses={200: {"model": ScoreResponse}})
async def score(body: ScoreRequest, request: Request, service: Shared) -> Response:
    """Probability of each label as the answer to the last message."""
    model = service.check_model(body.model).id
    if len(body.labels) > service.limits.labels:
        raise ApiError(400, f"{len(body.labels)} labels; the limit is {service.limits.labels}.", code="too_many_labels", param="labels")
    turns, shelf = read_turns(body.messages, service.limits, service.fetcher), service.shelf(request)

    def work(job: Job) -> ScoreResponse:
        with shelf.received(turns) as asked:
            found = service.backend.score(asked.messages, body.labels)
            said = warnings_of(service.backend, asked)
        return ScoreResponse(id=f"score-{uuid.uuid4().hex}", model=model, probabilities=dict(found), warnings=said)

    return await answer(body, request, service, work)


@router.post("/v1/emollm/analyze", responses={200: {"model": AnalyzeResponse}})
async def analyze(body: AnalyzeRequest, request: Request, service: Shared) -> Response:
    """Measure a clip without asking the language model."""
    model = service.check_model(body.model).id
    turns, shelf = read_turns(body.messages, service.limits, service.fetcher), service.shelf(request)
    if (clips := sum(len(turn.clues) for turn in turns)) != 1:
        raise ApiError(400, f"the messages must hold exactly one clip, but there are {clips}.", code="invalid_value", param="messages")

    def work(job: Job) -> AnalyzeResponse:
        with shelf.received(turns) as asked:
            return analysis_response(service.backend, asked, model, everything=body.measurements)

    return await answer(body, request, service, work)


def _write(service: Service, shelf: Shelf, turns: tuple[Turn, ...], body: ChatRequest, job: Job) -> Outcome | None:
    """Write all choices, piece by piece, in a worker thread."""
    sampling, count = body.sampling(service.limits), body.n or 1
    with shelf.received(turns) as asked:
        drawn = [sampling if sampling.seed is None else replace(sampling, seed=sampling.seed + i) for i in range(count)]
        replies = [service.backend.reply(asked.messages, one) for one in drawn]

        def stop() -> None:
            for reply in replies:
                reply.cancel()

        job.on_cancel(stop)
        _together([_passing(index, reply, job, service.meters) for index, reply in enumerate(replies)], stop)
        if job.cancelled:
            return None
        top = body.top_logprobs or 0
        endings = tuple(Ending(r.finish_reason, r.usage, logprobs_of(r.logprobs, top) if body.logprobs else None) for r in replies)
        outcome = Outcome(endings, extension_of(service.backend, asked, replies[0].timings_s))
    if (counts := outcome.counts) is not None:
        service.meters.count("emollm_tokens_total", counts.prompt_tokens, kind="prompt")
        service.meters.count("emollm_tokens_total", counts.completion_tokens, kind="completion")
    return outcome


def _passing(index: int, reply: Reply, job: Job, meters: Meters) -> Callable[[], None]:
    """Hand one reply's pieces on as they come, and note how long each was waited for."""

    def run() -> None:
        last, first = time.perf_counter(), True
        for piece in reply:
            now = time.perf_counter()
            meters.time("emollm_first_token_seconds" if first else "emollm_token_gap_seconds", now - last)
            last, first = now, False
            job.emit(Piece(index, piece))

    return run


def _together(runs: Sequence[Callable[[], None]], stop: Callable[[], None]) -> None:
    """Run all at the same time; the first failure ends the others and is raised."""
    failures: list[BaseException] = []

    def guarded(run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that is waited for
            failures.append(error)
            stop()

    threads = [threading.Thread(target=guarded, args=(run,), name="emollm-choice", daemon=True) for run in runs[1:]]
    for thread in threads:
        thread.start()
    guarded(runs[0])
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
