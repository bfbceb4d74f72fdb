"""Measurements as jobs: begin, look, fetch as JSON or CSV, cancel, delete."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from emollm.serving.analyses import Table
from emollm.serving.answers import Deleted, JobList, JobObject
from emollm.serving.errors import ApiError
from emollm.serving.media import ANY, Turn, address_clue
from emollm.serving.schema import JobRequest
from emollm.serving.service import ERRORS, Shared, as_json, ignored, owner_of

router = APIRouter(responses=ERRORS)


@router.post("/v1/analyses", status_code=202, responses={200: {"model": JobObject}, 202: {"model": JobObject}})
async def begin(body: JobRequest, request: Request, service: Shared) -> Response:
    """Measure clips in the background: 202 with the job, or 200 with the one that has the same clips already."""
    service.check_open()
    model = service.check_model(body.model).id if body.model is not None else service.model.id
    if len(body.clips) > service.limits.job_clips:
        raise ApiError(400, f"{len(body.clips)} clips; the limit is {service.limits.job_clips}.", code="too_many_clips", param="clips")
    clues = tuple(address_clue(clip, f"clips[{at}]", ANY, service.fetcher) for at, clip in enumerate(body.clips))
    shelf = service.shelf(request)
    job, new = await run_in_threadpool(
        lambda: service.analyses.submit(shelf, [Turn("user", "", clues)], model, everything=body.measurements)
    )
    return as_json(job, ignored(body), 202 if new else 200)


@router.get("/v1/analyses", responses={200: {"model": JobList}})
async def jobs(request: Request, service: Shared) -> Response:
    """Jobs of this API key, without their results."""
    return as_json(JobList(data=service.analyses.all_of(owner_of(request))))


@router.get("/v1/analyses/{job_id}", responses={200: {"model": JobObject}})
async def job_told(job_id: str, request: Request, service: Shared) -> Response:
    """How far a job is; its results once it has ended."""
    return as_json(await run_in_threadpool(service.analyses.get, owner_of(request), job_id))


@router.get("/v1/analyses/{job_id}/csv", responses={200: {"content": {"text/csv": {}}}})
async def job_table(job_id: str, request: Request, service: Shared, table: Table = "stretches") -> Response:
    """Results as CSV: a row a stretch, or a row a frame and face."""
    text = await run_in_threadpool(service.analyses.table, owner_of(request), job_id, table)
    return Response(text, media_type="text/csv", headers={"content-disposition": f'attachment; filename="{table}.csv"'})


@router.post("/v1/analyses/{job_id}/cancel", responses={200: {"model": JobObject}})
async def cancel(job_id: str, request: Request, service: Shared) -> Response:
    """Ask a job to end."""
    return as_json(await run_in_threadpool(service.analyses.cancel, owner_of(request), job_id))


@router.delete("/v1/analyses/{job_id}", responses={200: {"model": Deleted}})
async def delete(job_id: str, request: Request, service: Shared) -> Response:
    """End a job if it runs, and delete its results."""
    await run_in_threadpool(service.analyses.delete, owner_of(request), job_id)
    return as_json(Deleted(id=job_id, object="emollm.analysis_job"))
