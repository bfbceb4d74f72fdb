"""How the page is served: address, headers that forbid every outside request, and the private folder that uploads go to."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emollm.app.port import address, check_free
from emollm.app.theme import theme
from emollm.app.visits import private_folder
from emollm.exports.html_report import PAGE as CLIP_PAGE

MOST_BYTES = 200_000_000  # of one upload
ALIVE = "/emollm/alive"
_PAGE = Path(__file__).resolve().parent / "page_files"
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; worker-src 'self' blob:; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)


def launch(demo: gr.Blocks, host: str = "127.0.0.1", port: int = 7860) -> str:
    """Start serving in the background and return the address once it answers.

    Raises:
        BackendError: If the address cannot be used.
    """
    check_free(host, port)
    demo.launch(
        server_name=host,
        server_port=port,
        theme=theme(),
        css_paths=[CLIP_PAGE / "clip.css", _PAGE / "app.css"],
        js=script(),
        favicon_path=_PAGE / "icon.svg",
        app_kwargs={"middleware": [Middleware(Guard)]},
        footer_links=[],
        max_file_size=MOST_BYTES,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        strict_cors=True,
        show_error=False,
    )
    return address(host, port)


def forget_page(demo: gr.Blocks, session: str) -> None:
    """Drop what gradio keeps of a page that was closed: its components as they last were, with transcripts and exports in them.

    gradio itself drops values of `gr.State` after an hour and the rest only when ten thousand pages were opened.
    """
    demo.state_holder.session_data.pop(session, None)
    demo.state_holder.time_last_used.pop(session, None)


def script() -> str:
    """The scripts of a clip and of the page as one function."""
    return f"() => {{ ({(CLIP_PAGE / 'clip.js').read_text('utf-8')})(); ({(_PAGE / 'app.js').read_text('utf-8')})(); }}"


class Guard:
    """Adds headers to every response: the page may load nothing from elsewhere, so neither a picture in a reply nor a font can call out.

    It also answers the page's question whether the program still runs.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}
                message["headers"] = [*message.get("headers", []), *((k.encode(), v.encode()) for k, v in extra.items())]
            await send(message)

        if scope["type"] == "http" and scope["path"] == ALIVE:
            await guarded({"type": "http.response.start", "status": 204, "headers": [(b"cache-control", b"no-store")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._app(scope, receive, guarded if scope["type"] == "http" else send)


_folder_lock = threading.Lock()
_folder: Path | None = None


def upload_folder() -> Path:
    """This process's private folder; gradio is told of it in the one way it knows."""
    global _folder  # noqa: PLW0603  one folder a process, as gradio reads one environment variable a process
    with _folder_lock:
        if _folder is None:
            _folder = private_folder()
            os.environ["GRADIO_TEMP_DIR"] = str(_folder)
        return _folder
