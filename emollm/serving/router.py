"""`build_server`: all routes over one backend, behind the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from emollm.chat.backend import ChatBackend
from emollm.media.guarded import Guard, available
from emollm.serving import analysis_routes, chat_routes, file_routes, status_routes
from emollm.serving.errors import install_handlers
from emollm.serving.fetch import Fetcher
from emollm.serving.gate import Gate
from emollm.serving.limits import Limits
from emollm.serving.service import Service


def build_server(
    backend: ChatBackend,
    *,
    api_key: str | Sequence[str] | None = None,
    limits: Limits | None = None,
    fetcher: Fetcher | None = None,
    guarded: bool = True,
    hosts: Collection[str] | None = None,
    origins: Sequence[str] = (),
) -> FastAPI:
    """An OpenAI-compatible server around a backend; its `state.service` tells how busy it is.

    Args:
        backend: Called from worker threads, `limits.parallel` at a time.
        api_key: One or several; asked for on every address but /health and /ready. Uploads and jobs belong to the key that made them.
        limits: What the server takes on; the defaults suit one CPU.
        fetcher: Where clips by URL come from; they are refused if None.
        guarded: Decode clips in a process of their own, where the backend and the system can.
        hosts: Names that the server may be called by; any if None.
        origins: Web pages whose scripts may ask and read answers, as `https://app.example.org`; none by default.

    Raises:
        ApiError: If clips cannot be stored on this machine.
    """
    from emollm import __version__

    limits = limits or Limits()
    service = Service(backend, limits, fetcher)
    guard = _guard(backend, limits, service) if guarded else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if guard is not None:
            guard.warm()
        yield
        service.close()
        if guard is not None:
            guard.close()

    app = FastAPI(title="emollm", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service = service
    for part in (status_routes, chat_routes, file_routes, analysis_routes):
        app.include_router(part.router)
    install_handlers(app)
    keys = [api_key] if isinstance(api_key, str) else list(api_key or ())
    app.add_middleware(Gate, api_keys=keys, limits=limits, meters=service.meters, hosts=hosts, origins=origins)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type"],
            expose_headers=["x-request-id", "x-emollm-ignored", "retry-after"],
        )
    return app


def _guard(backend: ChatBackend, limits: Limits, service: Service) -> Guard | None:
    """Decoding processes for a backend; None where there can be none."""
    open_with = getattr(backend, "open_with", None)
    if open_with is None or not available():
        return None
    guard = Guard(limits.confinement)
    open_with(guard.open)
    service.meters.watch({"emollm_decoder_failures_total": lambda: float(guard.failures)})
    return guard
