"""`build_server`: all routes over one backend, behind the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI

from emollm.chat.backend import ChatBackend
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
) -> FastAPI:
    """An OpenAI-compatible server around a backend; its `state.service` tells how busy it is.

    Args:
        backend: Called from worker threads, `limits.parallel` at a time.
        api_key: One or several; asked for on every address but /health and /ready. Uploads and jobs belong to the key that made them.
        limits: What the server takes on; the defaults suit one CPU.
        fetcher: Where clips by URL come from; they are refused if None.

    Raises:
        ApiError: If clips cannot be stored on this machine.
    """
    from emollm import __version__

    limits = limits or Limits()
    service = Service(backend, limits, fetcher)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(title="emollm", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service = service
    for part in (status_routes, chat_routes, file_routes, analysis_routes):
        app.include_router(part.router)
    install_handlers(app)
    keys = [api_key] if isinstance(api_key, str) else list(api_key or ())
    app.add_middleware(Gate, api_keys=keys, limits=limits, meters=service.meters)
    return app
