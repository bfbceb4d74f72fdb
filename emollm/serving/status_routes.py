"""Whether the server is up, whether it takes work, what it has counted, and which model it has."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from emollm.serving.answers import ErrorResponse, Health, ModelList, ModelObject, Readiness
from emollm.serving.meters import CONTENT_TYPE
from emollm.serving.service import Shared, as_json

router = APIRouter()


@router.get("/health", responses={200: {"model": Health}})
async def health() -> Response:
    """Whether the server is up; needs no key."""
    return as_json(Health())


@router.get("/ready", responses={200: {"model": Readiness}, 503: {"model": Readiness}})
async def ready(service: Shared) -> Response:
    """Whether new work is taken: 200, or 503 while the server stops. Needs no key."""
    if service.stopping:
        return as_json(Readiness(status="stopping"), status=503)
    return as_json(Readiness(status="ready"))


@router.get("/metrics", response_class=PlainTextResponse, responses={401: {"model": ErrorResponse}})
async def metrics(service: Shared) -> Response:
    """Counters for Prometheus."""
    return Response(service.meters.text(), headers={"content-type": CONTENT_TYPE})


@router.get("/v1/models", responses={200: {"model": ModelList}, 401: {"model": ErrorResponse}})
async def models(service: Shared) -> Response:
    """The model served here."""
    return as_json(ModelList(data=[service.model]))


@router.get("/v1/models/{model_id}", responses={200: {"model": ModelObject}, 401: {"model": ErrorResponse}, 404: {"model": ErrorResponse}})
async def model(model_id: str, service: Shared) -> Response:
    """One model by its id."""
    return as_json(service.check_model(model_id))
