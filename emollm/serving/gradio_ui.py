"""The Gradio app: a clip and what it shows on the left, the conversation on the right.

Meets the model only at `ChatBackend` (`analyze`, `reply`); HTML is made in `panels`, sessions are kept in `visits`.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emollm import values
from emollm.chat.backend import ChatBackend
from emollm.errors import BackendError, EmollmError
from emollm.exports import report
from emollm.serving import panels
from emollm.serving.visits import Visit, Visits, private_folder

MAX_FILE_SIZE = "200mb"
QUEUE_SIZE = 16
LONGEST_QUESTION = 4000  # characters
KEPT_S = 3600  # gradio's own copies of uploads, should one be left
SUGGESTIONS = (
    "How does this person feel, and how can you tell?",
    "When does the expression change?",
    "What could I say to them?",
)
_PAGE = Path(__file__).resolve().parent / "page"
_FONTS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "DejaVu Sans", "sans-serif")
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; worker-src 'self' blob:; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
_HEADER = '<header class="em-header"><h1>emollm</h1><p>Talk about the emotions a clip shows in face, voice and words.</p></header>'
_NOTICE = """<footer class="em-footer" role="note" aria-label="What this is and is not">
<p><b>Perceived expression, not inner state.</b> What is described is how a clip comes across. It can be wrong, more often for some people
than for others, and it is not a diagnosis.</p>
<p><b>Not for workplace or school use.</b> The EU AI Act, Art. 5(1)(f), bans reading emotions from face or voice there, save for medical or
safety reasons. Tell people who appear in a clip.</p>
<p><b>Clips stay on this machine.</b> They are deleted when you close the page or press &ldquo;Delete my data&rdquo;; nothing is sent
elsewhere.</p></footer>"""
_PLACEHOLDER = "### Ask about a clip, or just write\nLoad a clip and ask what it shows, when, and how one can tell."
_NEW_CLIP = "*A new clip is open. Questions from here on are about this clip.*"
_CAME_BACK = "The connection was lost, so the clip and the conversation were deleted. Load the clip again to go on."
_OUR_FAULT = "Something went wrong inside emollm. Your conversation is kept; the details are in the terminal where it runs."
_log = logging.getLogger(__name__)


class _StoppedError(EmollmError):
    """The user stopped an analysis; raised out of its progress callback."""


def build_demo(backend: ChatBackend, examples: list[Path], opened: Path | None = None) -> gr.Blocks:
    """Lay out the page and wire it to a backend.

    Args:
        backend: What analyses and answers; one request at a time reaches it.
        examples: Clips offered as buttons.
        opened: A clip to open with the page.
    """
    folder = _upload_folder()
    desk = _Desk(backend, Visits(folder))
    with gr.Blocks(analytics_enabled=False, title="emollm", delete_cache=(KEPT_S, KEPT_S), fill_width=True) as demo:
        _pane(_HEADER)
        with gr.Row(elem_id="emollm-columns", equal_height=False):
            with gr.Column(scale=6, min_width=320, elem_id="emollm-left"):
                upload = gr.File(
                    label="Your clip: video, sound or picture",
                    show_label=False,
                    height=76,
                    elem_id="emollm-upload",
                    elem_classes="em-upload",
                )
                with gr.Row(elem_id="emollm-examples", visible=bool(examples)):
                    _pane('<span class="em-label">No clip at hand?</span>')
                    buttons = [gr.Button(_title(path), size="sm", min_width=90) for path in examples]
                recorders = _recorders()
                clip_note = _pane("", elem_id="emollm-clip-note")
                clip = _pane("", elem_id="emollm-clip")
                shown = _pane(panels.EMPTY, elem_id="emollm-evidence")
                when = _pane("", elem_id="emollm-timeline")
                said = _pane("", elem_id="emollm-transcript")
            with gr.Column(scale=6, min_width=320, elem_id="emollm-right"):
                chat = gr.Chatbot(
                    label="Conversation",
                    show_label=False,
                    placeholder=_PLACEHOLDER,
                    height=None,
                    layout="bubble",
                    buttons=["copy"],
                    latex_delimiters=[],
                    feedback_options=None,
                    elem_id="emollm-chat",
                )
                chat_note = _pane("", elem_id="emollm-note")
                with gr.Row(elem_id="emollm-suggestions"):
                    suggestions = [gr.Button(text, size="sm", min_width=60, elem_classes="em-suggestion") for text in SUGGESTIONS]
                with gr.Row(elem_id="emollm-ask", equal_height=True):
                    question = gr.Textbox(
                        label="Your question",
                        show_label=False,
                        container=False,
                        placeholder="Ask about the clip, or just write",
                        lines=1,
                        max_lines=5,
                        max_length=LONGEST_QUESTION,
                        scale=8,
                        min_width=180,
                        elem_id="emollm-question",
                        html_attributes=gr.InputHTMLAttributes(spellcheck=True),
                    )
                    send = gr.Button("Send", variant="primary", scale=1, min_width=76, elem_id="emollm-send")
                    stop = gr.Button("Stop", interactive=False, scale=1, min_width=76, elem_id="emollm-stop")
                with gr.Row(elem_id="emollm-tidy"):
                    clear = gr.Button("New conversation", size="sm", min_width=130, elem_id="emollm-clear")
                    delete = gr.Button("Delete my data", size="sm", min_width=130, elem_id="emollm-delete")
        _pane(_NOTICE)

        left, right, working = [clip_note, clip, shown, when, said], [chat, question, chat_note], [send, stop]
        one_at_a_time: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
        aside: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}

        def opens(event: Callable[..., Any], take: Callable[..., Any], source: Any = None) -> Any:
            taken = event(take, source, [clip_note, stop], **aside)
            if source is not None:
                taken = taken.then(lambda: None, None, source, **aside)  # the file is moved away, so its component must let go of it
            return taken.success(
                desk.analyse, None, [*left, stop, chat], show_progress_on=[shown], api_visibility="private", **one_at_a_time
            )

        sources = [(upload.upload, upload), *((recorder.stop_recording, recorder) for recorder in recorders)]
        running = [opens(event, desk.take_upload, source) for event, source in sources]
        running += [opens(button.click, desk.taker(path)) for button, path in zip(buttons, examples, strict=True)]
        if opened is not None:
            running.append(opens(demo.load, desk.taker(opened)))
        asks = [(question.submit, question, "ask"), (send.click, question, None), *((b.click, b, None) for b in suggestions)]
        for event, words, name in asks:
            running.append(
                event(
                    desk.ask,
                    words,
                    [*right, *working],
                    api_name=name,
                    api_visibility="public" if name else "private",
                    show_progress="hidden",
                    **one_at_a_time,
                )
            )
        stop.click(desk.stop, None, None, queue=False, **aside)
        clear.click(desk.clear, None, [*right, *working], cancels=running, **aside)
        chat.clear(desk.clear, None, [*right, *working], cancels=running, **aside)
        delete.click(desk.delete, None, [*left, *right, *working], cancels=running, **aside)
        demo.unload(desk.leave)
    demo.queue(max_size=QUEUE_SIZE)
    return demo


def launch(demo: gr.Blocks, host: str = "127.0.0.1", port: int = 7860) -> str:
    """Start serving in the background and return the address once it answers.

    Raises:
        BackendError: If the address cannot be used.
    """
    check_free(host, port)
    demo.launch(
        server_name=host,
        server_port=port,
        theme=_theme(),
        css_paths=_PAGE / "app.css",
        js=(_PAGE / "app.js").read_text(encoding="utf-8"),
        app_kwargs={"middleware": [Middleware(_Guard)]},
        footer_links=[],
        max_file_size=MAX_FILE_SIZE,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        strict_cors=True,
        show_error=False,
    )
    return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"


class _Desk:
    """The page's events: each finds its session, does one thing and returns what to show."""

    def __init__(self, backend: ChatBackend, visits: Visits) -> None:
        self._backend = backend
        self._visits = visits

    def take_upload(self, path: str, request: gr.Request) -> tuple[Any, ...]:
        """Move an upload from gradio's folder into the session's."""
        return self._take(Path(path), request, keep=False)

    def taker(self, path: Path) -> Callable[[gr.Request], tuple[Any, ...]]:
        """An event that opens a copy of a clip which is not the user's to delete."""

        def take(request: gr.Request) -> tuple[Any, ...]:
            return self._take(path, request, keep=True)

        return take

    def _take(self, path: Path, request: gr.Request, *, keep: bool) -> tuple[Any, ...]:
        visit = self._visit(request)
        self._visits.came_back(_key(request))
        try:
            visit.offer(path, keep=keep)
        except EmollmError as error:
            return (panels.note(str(error), alert=True), _idle())
        return (panels.note("Looking at the clip…"), _ready())

    def analyse(self, request: gr.Request, progress: gr.Progress = gr.Progress()) -> tuple[Any, ...]:  # noqa: B008  gradio's way to ask for it
        """Measure the offered clip and show it; one that cannot be read is dropped, and the last one stays."""
        visit = self._visit(request)
        visit.stopping, path = False, visit.offered
        if path is None:
            return (gr.skip(),) * 7

        def tell(share: float, doing: str) -> None:
            if visit.stopping or visit.offered != path:
                raise _StoppedError("Stopped; the clip was not opened.")
            progress(share, desc=doing)

        try:
            analysis = self._backend.analyze(path, tell)
            tell(1.0, "done")
            panes = (
                "",
                panels.player(path, analysis.kind),
                panels.evidence(report.evidence(analysis), analysis.warnings),
                "" if analysis.kind == "image" else panels.timeline(report.timeline(analysis), analysis.duration_s),
                panels.transcript(report.transcript(analysis)),
            )
        except Exception as error:  # noqa: BLE001  the page's one place for faults of a clip
            fault = _say(error)
            if visit.offered != path:  # deleted or replaced meanwhile: this event has nothing more to say
                return (gr.skip(),) * 7
            visit.refuse()
            return (panels.note(fault, alert=True), *(gr.skip(),) * 4, _idle(), gr.skip())
        visit.accept()
        return (*panes, _idle(), _view(visit))

    def ask(self, words: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        """Stream the answer to a question; one that fails goes back into the question box."""
        visit, asked = self._visit(request), words.strip()
        if self._visits.came_back(_key(request)):
            yield (gr.skip(), asked, panels.note(_CAME_BACK, alert=True), _ready(), _idle())
            return
        if not asked or len(asked) > LONGEST_QUESTION:
            fault = f"That is {len(asked)} characters; a question may have {LONGEST_QUESTION}." if asked else "Write a question first."
            yield (gr.skip(), gr.skip(), panels.note(fault), _ready(), _idle())
            return
        epoch, visit.stopping, written, fault = visit.epoch, False, "", ""
        yield (_view(visit, asked), "", "", gr.update(interactive=False), gr.update(interactive=True))
        try:
            visit.reply = reply = self._backend.reply(visit.messages(asked), values.Sampling())
            for piece in reply:
                if visit.stopping:
                    reply.cancel()
                if visit.epoch != epoch:
                    return
                written += piece
                yield (_view(visit, asked, written), *(gr.skip() for _ in range(4)))
            fault = _ending(reply.finish_reason, written)
        except Exception as error:  # noqa: BLE001  the page's one place for faults of an answer
            fault = _say(error)
        finally:
            visit.reply = None
        if visit.epoch != epoch:
            return
        if written:
            visit.turns += [values.Message("user", asked), values.Message("assistant", written)]
        kept = "" if written else asked
        yield (_view(visit), kept or gr.skip(), panels.note(fault, alert=bool(kept)), _ready(), _idle())

    def stop(self, request: gr.Request) -> None:
        """End the answer or the analysis that runs."""
        self._visit(request).stop()

    def clear(self, request: gr.Request) -> tuple[Any, ...]:
        """Begin a new conversation about the same clip."""
        self._visit(request).clear()
        return ([], "", "", _ready(), _idle())

    def delete(self, request: gr.Request) -> tuple[Any, ...]:
        """Forget clip and conversation at once."""
        visit = self._visit(request)
        self._drop(visit)
        visit.forget()
        gone = panels.note("Deleted: your clip and the conversation.")
        return (gone, "", panels.EMPTY, "", "", [], "", "", _ready(), _idle())

    def leave(self, request: gr.Request) -> None:
        """The page was closed."""
        self._drop(self._visit(request))
        self._visits.end(_key(request))

    def _drop(self, visit: Visit) -> None:
        """Let the backend forget what it measured in a session's clip; an answer under way is stopped first, for it holds the backend."""
        if visit.clip is not None and visit.clip.is_file():
            visit.stop()
            self._backend.forget(visit.clip)

    def _visit(self, request: gr.Request) -> Visit:
        return self._visits.of(_key(request))


class _Guard:
    """Adds headers to every response: the page may load nothing from elsewhere, so neither a picture in a reply nor a font can call out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}
                message["headers"] = [*message.get("headers", []), *((k.encode(), v.encode()) for k, v in extra.items())]
            await send(message)

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)


def _recorders() -> tuple[gr.Video, gr.Audio]:
    """Camera and microphone, offered once the user says that all concerned agreed."""
    with gr.Accordion("Record with this device", open=False, elem_id="emollm-record"):
        consent = gr.Checkbox(False, label="Everyone who will be seen or heard has agreed to this recording", elem_id="emollm-consent")
        with gr.Tabs(visible=False) as tabs:
            with gr.Tab("Camera"):
                camera = gr.Video(
                    sources=["webcam"],
                    include_audio=True,  # also keeps gradio from writing a second, mute copy
                    show_label=False,
                    webcam_options=gr.WebcamOptions(mirror=False),
                    height=240,
                    elem_id="emollm-camera",
                )
            with gr.Tab("Microphone"):
                microphone = gr.Audio(sources=["microphone"], type="filepath", show_label=False, elem_id="emollm-microphone")
    consent.change(lambda given: gr.update(visible=given), consent, tabs, show_progress="hidden", api_visibility="private")
    return camera, microphone


def _pane(html: str, elem_id: str | None = None) -> gr.HTML:
    """HTML that `page/app.css` alone styles, and that no click reports to the server."""
    return gr.HTML(html, elem_id=elem_id, apply_default_css=False, js_on_load=None)


def _key(request: gr.Request) -> str:
    return request.session_hash or ""


def _title(path: Path) -> str:
    return path.stem.removeprefix("sample_").replace("_", " ").capitalize() + " sample"


def _view(visit: Visit, asked: str = "", written: str = "") -> list[dict[str, str]]:
    """The conversation as the chat shows it, with the turn that is being written."""
    shown = [{"role": turn.role, "content": panels.chat_text(turn.text)} for turn in visit.turns]
    if visit.start and visit.clip is not None:
        shown.insert(visit.start, {"role": "assistant", "content": _NEW_CLIP})
    if asked:
        shown.append({"role": "user", "content": panels.chat_text(asked)})
    if written:
        shown.append({"role": "assistant", "content": panels.chat_text(written)})
    return shown


def _ready() -> Any:
    return gr.update(interactive=True)


def _idle() -> Any:
    return gr.update(interactive=False)


def _ending(reason: str | None, written: str) -> str:
    if reason == "cancelled":
        return "Stopped."
    if reason == "length":
        return "The answer was cut at its length limit. Ask it to go on."
    return "" if written else "The model gave no answer. Ask in other words."


def _say(error: Exception) -> str:
    """An error as a line for the user; what is not the user's to mend goes to the terminal."""
    if isinstance(error, EmollmError):
        return str(error)
    _log.error("the app failed", exc_info=error)
    return _OUR_FAULT


def _theme() -> gr.themes.Base:
    """Plain, with system fonts only; the colours are the variables of `page/app.css`, for light and dark alike."""
    look = {
        "body_background_fill": "var(--em-ground)",
        "body_text_color": "var(--em-ink)",
        "body_text_color_subdued": "var(--em-soft)",
        "background_fill_primary": "var(--em-sheet)",
        "background_fill_secondary": "var(--em-sunk)",
        "block_background_fill": "var(--em-sheet)",
        "border_color_primary": "var(--em-line)",
        "border_color_accent": "var(--em-accent)",
        "border_color_accent_subdued": "transparent",
        "checkbox_background_color_selected": "var(--em-accent)",
        "checkbox_border_color_selected": "var(--em-accent)",
        "color_accent_soft": "var(--em-accent-soft)",
        "button_primary_background_fill": "var(--em-accent)",
        "button_primary_background_fill_hover": "var(--em-accent-strong)",
        "button_primary_border_color": "var(--em-accent)",
        "button_primary_border_color_hover": "var(--em-accent-strong)",
        "button_primary_text_color": "var(--em-sheet)",
        "button_secondary_background_fill": "var(--em-sheet)",
        "button_secondary_background_fill_hover": "var(--em-sunk)",
        "button_secondary_text_color": "var(--em-ink)",
        "button_secondary_border_color": "var(--em-line)",
        "input_background_fill": "var(--em-sheet)",
        "input_border_color": "var(--em-line)",
        "input_border_color_focus": "var(--em-accent)",
        "input_placeholder_color": "var(--em-soft)",
        "loader_color": "var(--em-accent)",
    }
    plain = {
        "color_accent": "var(--em-accent)",
        "button_large_text_size": "14px",
        "button_large_text_weight": "600",
        "button_small_text_size": "13px",
        "button_border_width": "1px",
        "input_border_width": "1px",
    }
    theme = gr.themes.Base(primary_hue="teal", neutral_hue="stone", radius_size="md", font=_FONTS, font_mono=("ui-monospace", "monospace"))
    return theme.set(**look, **{f"{name}_dark": value for name, value in look.items()}, **plain)


_folder_lock = threading.Lock()
_folder: Path | None = None


def _upload_folder() -> Path:
    """This process's private folder; gradio is told of it in the one way it knows."""
    global _folder  # noqa: PLW0603  one folder a process, as gradio reads one environment variable a process
    with _folder_lock:
        if _folder is None:
            _folder = private_folder()
            os.environ["GRADIO_TEMP_DIR"] = str(_folder)
        return _folder


def check_free(host: str, port: int) -> None:
    """Say before starting that an address cannot be had, and what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "another program already uses it" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
            other = port + 1 if port < 65535 else 7860
            raise BackendError(
                f"cannot open port {port} on {host}: {reason}. Choose another one, e.g. emollm app --port {other}",
                code="port_unavailable",
            ) from error
