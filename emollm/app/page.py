"""The page: what stands where, and which event does what. What the events do is in `desk`, `systems_tab` and `benchmarks_tab`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from emollm.app import conversation, parts, trust
from emollm.app.benchmarks_tab import BenchmarksTab
from emollm.app.desk import LENGTHS, LONGEST_QUESTION, Desk
from emollm.app.door import MOST_BYTES, forget_page, upload_folder
from emollm.app.standby import Standby
from emollm.app.suggest import MOST
from emollm.app.systems_tab import SystemsTab
from emollm.app.uploads import uploads
from emollm.app.visits import Visits
from emollm.chat.backend import ChatBackend
from emollm.texts import ENGLISH, Words

QUEUE_SIZE = 32
KEPT_S = 3600  # gradio's own copies of uploads, should one be left
ANSWERS, LOOKS = 4, 4  # events of a kind at once; the backend itself may make them wait
EXPORTS = ("html", "html_clip", "json", "csv", "faces", "srt", "vtt", "png", "chat")
_TAKE = "() => window.emollm.signal()"  # what a hand-written button asked for
_WIPE = "() => window.emollm.wipe()"  # deletes the browser's own store and says how much that was

# What is asked of a camera: gradio's own wish, four times as many pixels, keeps a laptop busy with nothing but writing the film.
CAMERA = {"video": {"width": {"ideal": 1280}, "height": {"ideal": 720}, "frameRate": {"ideal": 25}}}


class Page:
    """All components that events write to, and their texts in every language."""

    def __init__(self, desk: Desk, examples: list[Path], opened: Path | None, *, local: bool) -> None:
        self._texts: list[tuple[Any, Callable[[Words], Any]]] = []
        self.most_bytes = MOST_BYTES
        words = Words(ENGLISH)
        self._said(parts.head, self._pane(parts.head(words)))
        self.status = self._pane("", "emollm-status")
        self.say = self._pane("")
        with gr.Tabs(elem_id="emollm-tabs"):
            with self._tab("head.talk", "talk"), gr.Row(elem_id="emollm-columns", equal_height=False):
                with gr.Column(scale=7, min_width=320, elem_id="emollm-left"):
                    self._left(words, examples)
                with gr.Column(scale=5, min_width=320, elem_id="emollm-right"):
                    self._right(words)
            with self._tab("head.systems", "systems") as self.systems_tab:
                self.systems = SystemsTab(desk.backend, self, words, desk.language)
            with self._tab("head.benchmarks", "benchmarks"):
                self.benchmarks = BenchmarksTab(self, words, desk.language, local=local)
            with self._tab("head.about", "about"):
                self._said(trust.about, self._pane(trust.about(words)))
        self._said(parts.line, self._pane(parts.line(words)))
        self.signal = gr.Textbox(visible="hidden", elem_id="emollm-signal", container=False)
        self.do = gr.Button(visible="hidden", elem_id="emollm-do")
        self.parcel = self._pane("")
        self.record = self._pane("")
        self.stored = gr.Textbox(visible="hidden", container=False)
        self.timer = gr.Timer(1.0)
        self._examples, self._opened = examples, opened

    # -- layout

    def _left(self, words: Words, examples: list[Path]) -> None:
        self.tray = self._pane("", "emollm-tray")
        self.upload = uploads(
            label=words("clip.drop"), show_label=False, height=76, file_count="multiple", elem_id="emollm-upload", elem_classes="em-upload"
        )
        self.labelled(self.upload, label="clip.drop")
        with gr.Row(elem_id="emollm-examples", visible=bool(examples)):
            self._said(
                lambda w: f'<span class="em-soft">{w("clip.none")}</span>', self._pane(f'<span class="em-soft">{words("clip.none")}</span>')
            )
            self.examples = [self._example(path, words) for path in examples]
        self._recorders(words)
        self.clip_note = self._pane("", "emollm-clip-note")
        self.looking = self._pane("", "emollm-looking")
        self.stage = self._pane("", "emollm-stage")
        self.detail = self._pane("", "emollm-detail")
        with gr.Accordion(words("keep.title"), open=False, elem_id="emollm-keep") as kept:
            with gr.Row(elem_id="emollm-exports"):
                self.exports = {
                    kind: self._button(f"keep.{kind}", size="sm", min_width=60, elem_id=f"emollm-export-{kind}") for kind in EXPORTS
                }
            self.keep_note = self._pane("", "emollm-keep-note")
        self.labelled(kept, label="keep.title")

    def _recorders(self, words: Words) -> None:
        """Camera and microphone, offered once the user says that all concerned agreed."""
        with gr.Accordion(words("clip.record"), open=False, elem_id="emollm-record") as record:
            consent = gr.Checkbox(False, label=words("clip.consent"), info=words("clip.consent_why"), elem_id="emollm-consent")
            with gr.Tabs(visible=False) as tabs:
                with self._tab("clip.camera", "camera"):
                    self.camera = gr.Video(
                        sources=["webcam"],
                        include_audio=True,  # also keeps gradio from writing a second, mute copy
                        show_label=False,
                        webcam_options=gr.WebcamOptions(mirror=False, constraints=CAMERA),
                        height=240,
                        elem_id="emollm-camera",
                    )
                with self._tab("clip.microphone", "microphone"):
                    self.microphone = gr.Audio(sources=["microphone"], type="filepath", show_label=False, elem_id="emollm-microphone")
        self.labelled(record, label="clip.record")
        self.labelled(consent, label="clip.consent", info="clip.consent_why")
        consent.change(lambda given: gr.update(visible=given), consent, tabs, show_progress="hidden", api_visibility="private")

    def _right(self, words: Words) -> None:
        self.care = self._pane("", "emollm-care")
        self.chat = gr.Chatbot(
            label=words("talk.chat"),
            show_label=False,
            placeholder=words("talk.placeholder"),
            height=None,
            layout="bubble",
            buttons=["copy"],
            editable="user",
            latex_delimiters=[],
            reasoning_tags=[conversation.THOUGHTS],
            feedback_options=None,
            group_consecutive_messages=False,
            elem_id="emollm-chat",
        )
        self.labelled(self.chat, label="talk.chat", placeholder="talk.placeholder")
        self.chat_note = self._pane("", "emollm-note")
        with gr.Row(elem_id="emollm-suggestions"):
            self.suggestions = [gr.Button("", size="sm", min_width=60, elem_classes="em-suggestion", visible=False) for _ in range(MOST)]
        with gr.Row(elem_id="emollm-ask", equal_height=True):
            self.question = gr.Textbox(
                label=words("talk.label"),
                show_label=False,
                container=False,
                placeholder=words("talk.ask"),
                lines=1,
                max_lines=5,
                max_length=LONGEST_QUESTION + 1000,
                scale=8,
                min_width=180,
                elem_id="emollm-question",
                html_attributes=gr.InputHTMLAttributes(spellcheck=True),
            )
            self.send = self._button("talk.send", variant="primary", scale=1, min_width=84, elem_id="emollm-send")
            self.stop = self._button("talk.stop", visible=False, scale=1, min_width=84, elem_id="emollm-stop")
        self.labelled(self.question, label="talk.label", placeholder="talk.ask")
        with gr.Row(elem_id="emollm-tidy"):
            self.clear = self._button("talk.clear", size="sm", min_width=130, elem_id="emollm-clear")
            self.delete = self._button("keep.delete", size="sm", min_width=130, elem_id="emollm-delete")
        with gr.Accordion(words("keep.history"), open=False, elem_id="emollm-history") as history:
            self._pane('<div id="emollm-kept"></div>')
        self.labelled(history, label="keep.history")
        self._settings(words)

    def _settings(self, words: Words) -> None:
        with gr.Accordion(words("settings.title"), open=False, elem_id="emollm-settings") as settings:

            def choices(w: Words) -> list[tuple[str, str]]:
                return [(w(f"settings.{name}"), name) for name in LENGTHS]

            self.length = gr.Radio(choices(words), value="usual", label=words("settings.length"), elem_id="emollm-length")
            self.variety = gr.Slider(0, 1, 0, step=0.1, label=words("settings.variety"), elem_id="emollm-variety")
            self.seed = gr.Number(None, label=words("settings.seed"), precision=0, minimum=0, elem_id="emollm-seed")
            self.link = self._button("settings.link", size="sm", elem_id="emollm-link")
            self.link_note = self._pane("", "emollm-link-note")
        self.labelled(settings, label="settings.title")
        self._said(lambda w: gr.update(label=w("settings.length"), choices=choices(w)), self.length)
        self.labelled(self.variety, label="settings.variety")
        self.labelled(self.seed, label="settings.seed")

    # -- events

    def wire(self, demo: gr.Blocks, desk: Desk) -> None:
        """Bind every event."""
        aside: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
        everything = self.outputs()
        clips = [self.tray, self.stage, self.detail, self.status, self.say, *self.suggestions, self.looking, self.clip_note]
        looks: dict[str, Any] = {
            "concurrency_id": "look", "concurrency_limit": LOOKS, "show_progress": "hidden", "api_visibility": "private",
        }  # fmt: skip
        running: list[Any] = []

        def opens(event: Callable[..., Any], take: Callable[..., Any], source: Any = None) -> None:
            taken = event(take, source, [self.clip_note, *([source] if source is not None else [])], **aside)
            running.append(taken.then(desk.look, None, [*clips, self.chat], **looks))

        opens(self.upload.upload, desk.taker_from(self.upload), self.upload)
        opens(self.camera.stop_recording, desk.taker_from(self.camera), self.camera)
        opens(self.microphone.stop_recording, desk.taker_from(self.microphone), self.microphone)
        for button, path in zip(self.examples, self._examples, strict=True):
            opens(button.click, desk.taker(path))
        arrived = demo.load(desk.arrive, None, everything, **aside)
        if self._opened is not None:
            opens(arrived.then, desk.taker(self._opened))
        self.timer.tick(desk.tick, None, [self.status, self.timer], **aside)

        answer: dict[str, Any] = {"concurrency_id": "answer", "concurrency_limit": ANSWERS, "show_progress": "hidden"}
        written = [self.chat, self.question, self.chat_note, self.care, self.record, self.send, self.stop, *clips]
        how = [self.length, self.variety, self.seed]
        asks: list[Any] = [
            self.question.submit(desk.ask, [self.question, *how], written, api_name="ask", **answer),
            self.send.click(desk.ask, [self.question, *how], written, api_visibility="private", **answer),
            self.chat.retry(desk.again, self.length, written, api_visibility="private", **answer),
            self.chat.edit(desk.edit, self.length, written, api_visibility="private", **answer),
        ]
        asks += [
            button.click(desk.suggester(i), self.length, written, api_visibility="private", **answer)
            for i, button in enumerate(self.suggestions)
        ]
        running += asks
        self.stop.click(desk.stop, None, None, queue=False, **aside)
        for cleared in (self.clear.click, self.chat.clear):
            cleared(desk.clear, None, written, cancels=running, **aside).then(None, None, None, js="() => window.emollm.anew()", **aside)
        self.delete.click(
            desk.delete, self.stored, [*written, self.parcel, self.keep_note], cancels=running, js=_WIPE, **aside
        )  # fmt: skip
        acted = self.do.click(desk.act, self.signal, everything, js=_TAKE, **aside)
        acted.then(desk.look, None, [*clips, self.chat], **looks)
        read = acted.then(desk.read, None, clips, **looks)
        running += [read, read.then(desk.look, None, [*clips, self.chat], **looks)]  # clips that came meanwhile
        for kind, button in self.exports.items():
            button.click(desk.export(kind), None, [self.parcel, self.keep_note], **(aside | {"show_progress": "minimal"}))
        self.link.click(None, how, self.link_note, js="(length, variety, seed) => window.emollm.link(length, variety, seed)", **aside)
        self.systems.wire(self.systems_tab, aside)
        self.benchmarks.wire(aside)

        def left(request: gr.Request) -> None:
            desk.leave(request)
            forget_page(demo, request.session_hash or "")

        demo.unload(left)

    def outputs(self) -> list[Any]:
        """Everything that may change when the language does, or when the page opens."""
        texts = [component for component, _ in self._texts]
        own = [
            self.tray,
            self.stage,
            self.detail,
            self.status,
            self.say,
            *self.suggestions,
            self.looking,
            self.clip_note,
            self.chat,
            self.chat_note,
        ]
        settings = [self.length, self.variety, self.seed, self.record, self.timer]
        return list(dict.fromkeys([*texts, *own, *settings]))

    def relabelled(self, words: Words) -> dict[Any, Any]:
        """All fixed texts in a language."""
        return {component: write(words) for component, write in self._texts}

    def _said(self, write: Callable[[Words], Any], component: Any) -> None:
        self._texts.append((component, write))

    def say_with(self, component: Any, write: Callable[[Words], Any]) -> Any:
        """For other parts of the page: a component whose texts follow the language."""
        self._said(write, component)
        return component

    def labelled(self, component: Any, **keys: str) -> Any:
        """A component whose properties are texts: `labelled(box, label="talk.label")`."""

        def write(words: Words) -> Any:
            texts: dict[str, Any] = {name: words(key) for name, key in keys.items()}
            return gr.update(**texts)

        self._said(write, component)
        return component

    def _button(self, key: str, **look: Any) -> gr.Button:
        return self.labelled(gr.Button(Words(ENGLISH)(key), **look), value=key)

    def _example(self, path: Path, words: Words) -> gr.Button:
        button = gr.Button(_title(path, words), size="sm", min_width=90)
        self._said(lambda w: gr.update(value=_title(path, w)), button)
        return button

    def _tab(self, key: str, name: str) -> gr.Tab:
        return self.labelled(gr.Tab(Words(ENGLISH)(key), id=name), label=key)

    def _pane(self, html: str, elem_id: str | None = None) -> gr.HTML:
        return pane(html, elem_id)


def pane(html: str, elem_id: str | None = None) -> gr.HTML:
    """HTML that the page's own style sheets alone style, and that no click reports to the server."""
    return gr.HTML(html, elem_id=elem_id, apply_default_css=False, js_on_load=None)


def build_demo(backend: ChatBackend, examples: list[Path], opened: Path | None = None, *, local: bool = True) -> gr.Blocks:
    """Lay out the page and wire it to a backend.

    Args:
        backend: What analyses and answers; a `Standby` may still be loading.
        examples: Clips offered as buttons.
        opened: A clip to open with the page.
        local: Whether the page is for people at this machine only; what reads its folders is offered to them alone.
    """
    standby = backend if isinstance(backend, Standby) else Standby.around(backend)
    desk = Desk(standby, Visits(upload_folder()))
    with gr.Blocks(analytics_enabled=False, title="emollm", delete_cache=(KEPT_S, KEPT_S), fill_width=True) as demo:
        desk.page = Page(desk, examples, opened, local=local)
        desk.page.wire(demo, desk)
    demo.queue(max_size=QUEUE_SIZE)
    return demo


def _title(path: Path, words: Words) -> str:
    name = path.stem.removeprefix("sample_")
    return words("clip.sample", name=words(f"clip.{name}") if name in ("joy", "sad") else name.replace("_", " "))
