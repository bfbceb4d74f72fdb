"""Uploads by multipart, and the transcription of one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from emollm.serving.answers import Deleted, ErrorResponse, FileList, FileObject, Transcription, TranscriptionText
from emollm.serving.desk import Job
from emollm.serving.errors import ApiError
from emollm.serving.media import ANY, Clue, Turn
from emollm.serving.schema import SAFE_NAME
from emollm.serving.service import ERRORS, Shared, as_json, finish, owner_of
from emollm.serving.transcripts import to_srt, to_vtt, transcription
from emollm.serving.uploads import Uploads
from emollm.values import Analysis

router = APIRouter(responses=ERRORS)
Form_ = Literal["json", "text", "srt", "vtt", "verbose_json"]
KNOWN = ("file", "model", "language", "prompt", "response_format", "temperature", "timestamp_granularities[]", "timestamp_granularities")
HEARD = ("whisper-1", "whisper")  # names that clients send when they want speech written down


@router.post("/v1/files", responses={200: {"model": FileObject}})
async def upload(
    request: Request,
    service: Shared,
    file: Annotated[UploadFile, File(description="a clip; content decides what it is")],
    purpose: Annotated[str, Form(max_length=64)] = "user_data",
) -> Response:
    """Keep a clip for a while, for this API key alone; name it in messages as `file` part or in place of a URL."""
    service.check_open()
    told = await run_in_threadpool(service.uploads.add, owner_of(request), file.filename or "", purpose, file.file)
    return as_json(told)


@router.get("/v1/files", responses={200: {"model": FileList}})
async def uploads(request: Request, service: Shared) -> Response:
    """What this API key has uploaded."""
    return as_json(FileList(data=service.uploads.all_of(owner_of(request))))


@router.get("/v1/files/{file_id}", responses={200: {"model": FileObject}})
async def upload_told(file_id: str, request: Request, service: Shared) -> Response:
    """One upload: its size and when it goes. What it holds is not handed out."""
    return as_json(service.uploads.get(owner_of(request), file_id).told)


@router.delete("/v1/files/{file_id}", responses={200: {"model": Deleted}})
async def upload_deleted(file_id: str, request: Request, service: Shared) -> Response:
    """Delete an upload and what was measured in it."""
    await run_in_threadpool(service.uploads.delete, owner_of(request), file_id)
    return as_json(Deleted(id=file_id, object="file"))


@router.post(
    "/v1/audio/transcriptions",
    response_class=JSONResponse,
    responses={
        200: {"model": Transcription | TranscriptionText, "content": {"text/plain": {}, "text/vtt": {}}},
        400: {"model": ErrorResponse},
    },
)
async def transcribe(
    request: Request,
    service: Shared,
    file: Annotated[UploadFile, File(description="sound, or a video with sound")],
    model: Annotated[str, Form(max_length=256)],
    response_format: Annotated[Form_, Form()] = "json",
    language: Annotated[str | None, Form(max_length=16, description="ignored: it is heard")] = None,
    prompt: Annotated[str | None, Form(description="ignored")] = None,
    temperature: Annotated[float | None, Form(description="ignored", allow_inf_nan=False)] = None,
    granularities: Annotated[list[Literal["word", "segment"]] | None, Form(alias="timestamp_granularities[]")] = None,
    stream: Annotated[bool | None, Form(description="refused unless false")] = None,
) -> Response:
    """Write down what is said. Silence is an empty text."""
    service.check_model(model, HEARD)
    if stream:
        raise ApiError(400, "stream is not supported for transcriptions; leave it out.", code="unsupported_parameter", param="stream")
    owner, shelf = owner_of(request), service.shelf(request)
    told = await run_in_threadpool(service.uploads.add, owner, file.filename or "", "transcription", file.file)
    turn = Turn("user", "", (Clue("file", ANY, "", "upload", told.id),))

    def work(job: Job) -> Analysis:
        with shelf.received([turn]) as asked:
            (path,) = asked.claims
            return service.backend.analyze(path)  # and forgotten when the upload is deleted

    try:
        _, analysis = await finish(request, service.submit(work))
    finally:
        await run_in_threadpool(_gone, service.uploads, owner, told.id)
    if analysis.kind == "image":
        raise ApiError(400, "the file is a still picture; there is nothing to be heard in it.", code="no_sound", param="file")
    return _written(analysis, response_format, granularities or ["segment"], await _ignored(request))


def _gone(uploads: Uploads, owner: str, key: str) -> None:
    try:
        uploads.delete(owner, key)
    except ApiError:  # it was deleted by its owner, or is too old
        return


async def _ignored(request: Request) -> dict[str, str]:
    """Fields of the form that have no effect, named in a header."""
    form = await request.form()
    names = sorted({name for name in form if name not in (*KNOWN, "stream") and SAFE_NAME.fullmatch(name)})[:32]
    return {"x-emollm-ignored": ", ".join(names)} if names else {}


def _written(analysis: Analysis, form: Form_, granularities: list[Any], headers: dict[str, str]) -> Response:
    match form:
        case "text":
            return PlainTextResponse((analysis.words.text if analysis.words is not None else "") + "\n", headers=headers)
        case "srt":
            return PlainTextResponse(to_srt(analysis.words), headers=headers)
        case "vtt":
            return Response(to_vtt(analysis.words), media_type="text/vtt", headers=headers)
        case "json":
            return as_json(TranscriptionText(text=analysis.words.text if analysis.words is not None else ""), headers)
    return as_json(transcription(analysis, granularities), headers)
