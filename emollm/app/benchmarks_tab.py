"""The tab "Benchmarks": open the results of an evaluation, or run a card on a folder of this machine, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from emollm import catalog
from emollm.app.trust import table
from emollm.app.uploads import uploads
from emollm.exports.panels import note
from emollm.texts import Words

if TYPE_CHECKING:
    from emollm.app.page import Page

MOST_RESULT = 5_000_000  # bytes
MOST_ITEMS = 1000
RESULTS = "results.json"


class BenchmarksTab:
    """Its components, and what its buttons do. Reading folders and running is for people at this machine only."""

    def __init__(self, page: Page, words: Words, language: Callable[[gr.Request], str], *, local: bool) -> None:
        from emollm.app.page import pane

        self._language, self._local = language, local
        self._running = threading.Lock()
        self._stopped = threading.Event()
        page.say_with(pane(_head(words)), _head)
        self.upload = uploads(label=words("benchmarks.open"), height=140, file_types=[".json"], elem_id="emollm-result")
        page.labelled(self.upload, label="benchmarks.open")
        with gr.Accordion(words("benchmarks.run_title"), open=False, elem_id="emollm-run") as run:
            if not local:
                page.say_with(pane(note(words("benchmarks.remote"))), lambda w: note(w("benchmarks.remote")))
            with gr.Row(visible=local):
                self.card = gr.Dropdown(catalog.names("eval"), value="open-faces", label=words("benchmarks.card"), elem_id="emollm-card")
                self.data = gr.Textbox(label=words("benchmarks.data"), elem_id="emollm-data", scale=2)
                self.limit = gr.Number(
                    20, label=words("benchmarks.limit"), precision=0, minimum=1, maximum=MOST_ITEMS, elem_id="emollm-limit"
                )
            with gr.Row(visible=local):
                self.start = gr.Button(words("benchmarks.run"), variant="primary", elem_id="emollm-run-start")
                self.halt = gr.Button(words("benchmarks.stop"), elem_id="emollm-run-stop")
        for component, key in ((run, "run_title"), (self.card, "card"), (self.data, "data"), (self.limit, "limit")):
            page.labelled(component, label=f"benchmarks.{key}")
        for button, key in ((self.start, "run"), (self.halt, "stop")):
            page.labelled(button, value=f"benchmarks.{key}")
        self.note = pane("", "emollm-run-note")
        self.shown = pane(f'<p class="em-soft">{escape(words("benchmarks.none"))}</p>', "emollm-results")

    def wire(self, aside: dict[str, Any]) -> None:
        """Bind the events."""
        self.upload.upload(self.open, self.upload, [self.shown, self.note], **aside).then(lambda: None, None, self.upload, **aside)
        if self._local:
            self.start.click(self.run, [self.card, self.data, self.limit], [self.shown, self.note], **aside)
            self.halt.click(self._stopped.set, None, None, **aside)

    def open(self, path: str, request: gr.Request) -> tuple[Any, str]:
        """Show a file of results; it is deleted from this machine's private folder at once."""
        words, file = Words(self._language(request)), Path(path)
        try:
            return results(_read(file), words), ""
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            return gr.skip(), note(words("benchmarks.bad", name=file.name, reason=str(error)[:200]), alert=True)
        finally:
            file.unlink(missing_ok=True)

    def run(self, card: str, data: str, limit: float, request: gr.Request) -> Iterator[tuple[Any, str]]:
        """Run a card and show its results; the last line the run said is told meanwhile."""
        words = Words(self._language(request))
        if card not in catalog.names("eval") or not Path(data or "").is_dir():
            yield gr.skip(), note(words("benchmarks.failed", reason=f"{data or '-'}: no folder"), alert=True)
            return
        if not self._running.acquire(blocking=False):
            yield gr.skip(), note(words("benchmarks.busy"))
            return
        try:
            yield from self._run(card, Path(data), int(min(max(limit or 1, 1), MOST_ITEMS)), words)
        finally:
            self._running.release()

    def _run(self, card: str, data: Path, limit: int, words: Words) -> Iterator[tuple[Any, str]]:
        self._stopped.clear()
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "emollm", "eval", card, "--data", str(data), "--limit", str(limit), "--out", folder]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            said: list[str] = [""]
            reader = threading.Thread(target=_listen, args=(process, said), daemon=True)
            reader.start()
            try:
                while process.poll() is None and not self._stopped.is_set():
                    yield gr.skip(), note(words("benchmarks.running", card=card, line=said[-1].removeprefix(f"{card}: ")))
                    time.sleep(0.5)
            finally:
                process.terminate()
                process.wait()
                reader.join(timeout=5)
            found = next(Path(folder).rglob(RESULTS), None)
            if process.returncode != 0 or found is None:
                reason = words("looking.stopped") if self._stopped.is_set() else said[-1]
                yield gr.skip(), note(words("benchmarks.failed", reason=reason), alert=True)
                return
            yield results(_read(found), words), note(words("benchmarks.done", seconds=f"{time.monotonic() - began:.0f}"))


def _listen(process: subprocess.Popen[str], said: list[str]) -> None:
    for line in process.stdout or ():
        if line.strip():
            said[:] = [line.strip()[:200]]


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MOST_RESULT:
        raise ValueError(f"{path.stat().st_size} bytes")
    found = json.loads(path.read_text("utf-8"))
    if not isinstance(found, dict) or not isinstance(found.get("metrics"), dict) or "card" not in found:
        raise ValueError("no card and metrics")
    return found


def results(found: dict[str, Any], words: Words) -> str:
    """Measures with their intervals, and the same measures of every floor beside them."""
    floors = {name: one for name, one in (found.get("floors") or {}).items() if isinstance(one, dict)}
    head = [*words.rows("benchmarks.head"), *(words("benchmarks.floor", name=name) for name in floors)]
    measures = {name: value for name, value in found["metrics"].items() if isinstance(value, int | float)}
    headline = str(found.get("headline", ""))
    rows = []
    for name in sorted(measures, key=lambda one: one != headline):
        bounds = (found.get("intervals") or {}).get(name) or (found["metrics"].get("interval") if name == headline else None)
        span = f"{bounds[0]:.3f} – {bounds[1]:.3f}" if isinstance(bounds, list) and len(bounds) == 2 else ""
        rows.append([name, f"{measures[name]:.3f}", span, *(_number(one.get(name)) for one in floors.values())])
    told = words("benchmarks.about", card=found["card"], n=found.get("n", "?"), system=found.get("system") or "-")
    notes = "".join(f'<p class="em-note">{escape(str(one))}</p>' for one in found.get("warnings") or [])
    return f'<div class="em-tab"><h2>{escape(told)}</h2>{notes}{table(head, rows, marked=0 if headline in measures else None)}</div>'


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def _head(words: Words) -> str:
    command = "emollm eval open-faces --data DIR --out runs/eval"
    return (
        f'<div class="em-tab"><h2>{escape(words("benchmarks.title"))}</h2><p class="em-soft">{escape(words("benchmarks.intro"))}</p>'
        f'<pre tabindex="0"><code>{escape(command)}</code></pre></div>'
    )
