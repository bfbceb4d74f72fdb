"""What the page's events do: each finds its session, does one thing, and returns what to show.

The one place of the app where faults become lines for the user; what is not the user's to mend goes to the terminal.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import gradio as gr

from emollm.app import conversation, keep
from emollm.app.parts import care, detail, handed, looking, reading, say_pane, stage, status, tray
from emollm.app.standby import Standby
from emollm.app.suggest import MOST, suggestions
from emollm.app.visits import Turn, Visit, Visits
from emollm.chat.backend import Reply
from emollm.chat.reading import read_words
from emollm.chat.safety import in_crisis
from emollm.errors import EmollmError
from emollm.exports.panels import note
from emollm.texts import Words, chosen
from emollm.values import Message, Sampling

if TYPE_CHECKING:
    from emollm.app.page import Page

LONGEST_QUESTION = 4000  # characters
LENGTHS = {"short": 60, "usual": 200, "long": 400}  # most new tokens
AGAIN_TEMPERATURE = 0.7  # an answer that is asked for again should be another one
MOST_RESTORED = 200  # turns of an earlier conversation
TICK_S = 0.12
WRITE_EVERY_S = 0.1  # each change of the page costs it and its browser some 35 ms, twice what a token costs the model
TELL_EVERY_S = 0.8
_log = logging.getLogger(__name__)
Shown = dict[Any, Any]


class _StoppedError(EmollmError):
    """The user stopped an analysis; raised out of its progress callback."""


@dataclass
class _Look:
    """A clip that is being measured."""

    work: Future[Any]
    progress: tuple[float, str] = (0.0, "")


class Desk:
    """The events of a page. `page` is set once the page is laid out."""

    page: Page

    def __init__(self, backend: Standby, visits: Visits) -> None:
        self.backend = backend
        self._visits = visits
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="emollm-look")
        self._begun: dict[Path, _Look] = {}  # by the event that took a clip in, before the one that looks at it has come

    # -- coming and going

    def arrive(self, request: gr.Request) -> Shown:
        """A page was opened: its language and settings are those of the link, else of the browser."""
        visit = self._visit(request)
        asked = dict(request.query_params) if request is not None else {}
        visit.language = chosen(asked.get("lang"), request.headers.get("accept-language") if request.headers else None)
        shown = self.page.relabelled(self._words(visit)) | self._all(visit)
        if asked.get("length") in LENGTHS:
            shown[self.page.length] = asked["length"]
        for name, box in (("variety", self.page.variety), ("seed", self.page.seed)):
            try:
                shown[box] = max(0.0, min(1.0 if name == "variety" else 1e9, float(asked[name]))) if name in asked else gr.skip()
            except ValueError:
                continue
        return shown

    def tick(self, request: gr.Request) -> Shown:
        """How the model is coming along."""
        state = self.backend.state()
        shown: Shown = {self.page.status: status(state, self._words(self._visit(request)))}
        if state.ready and state.loading is None:
            shown[self.page.timer] = gr.Timer(active=False)
        return shown

    def leave(self, request: gr.Request) -> None:
        """The page was closed."""
        self._drop(self._visit(request))
        self._visits.end(_key(request))

    # -- clips

    def taker_from(self, source: Any) -> Callable[..., Shown]:
        """An event that moves uploads from gradio's folder into the session's; the component they came by lets go of them."""

        def take(paths: list[str] | str | None, request: gr.Request) -> Shown:
            given = [paths] if isinstance(paths, str) else list(paths or [])
            return {**self._take([Path(p) for p in given], request, keep_source=False), source: None}

        return take

    def taker(self, path: Path) -> Callable[[gr.Request], Shown]:
        """An event that opens a copy of a clip which is not the user's to delete."""

        def take(request: gr.Request) -> Shown:
            return self._take([path], request, keep_source=True)

        return take

    def _take(self, paths: list[Path], request: gr.Request, *, keep_source: bool) -> Shown:
        visit = self._visit(request)
        self._visits.came_back(_key(request))
        words, fault = self._words(visit), ""
        for path in paths:
            try:
                visit.offer(path, keep=keep_source)
            except EmollmError as error:
                fault = words.fault(str(error), error.code)
        with visit.lock:  # the next event, which shows how it goes, comes a tenth of a second later
            if visit.offered and not visit.looking and visit.offered[0] not in self._begun:
                visit.stopping = False
                self._begun[visit.offered[0]] = self._begin(visit.offered[0], visit)
        return {self.page.clip_note: note(fault, alert=True)}

    def _begin(self, path: Path, visit: Visit) -> _Look:
        words = self._words(visit)

        def tell(share: float, doing: str) -> None:
            if visit.stopping or path not in visit.offered:
                raise _StoppedError(words("looking.stopped"))
            look.progress = (share, doing)

        look = _Look(Future())
        look.work = self._readers.submit(self.backend.analyze, path, tell)
        return look

    def look(self, request: gr.Request) -> Iterator[Shown]:
        """Measure the offered clips one after another; one that cannot be read is dropped, and what is open stays."""
        visit = self._visit(request)
        yield self._same()  # an event that says nothing at all would empty its outputs
        with visit.lock:
            if visit.looking or not visit.offered:
                return
            visit.looking = True
            if visit.offered[0] not in self._begun:  # else who pressed stop meant this clip
                visit.stopping = False
        page, epoch = self.page, visit.epoch
        try:
            while visit.offered:
                path = visit.offered[0]
                fault = yield from self._look_at(path, visit)
                yield {
                    **self._all(visit),
                    page.looking: "",
                    page.clip_note: note(fault, alert=True),
                    page.chat: self._talk(visit) if visit.epoch == epoch else gr.skip(),
                }
                if visit.stopping:
                    visit.refuse()
        finally:
            visit.looking = False

    def _look_at(self, path: Path, visit: Visit) -> Generator[Shown, None, str]:
        """Returns what went wrong, in words for the user; empty if nothing did."""
        words, page = self._words(visit), self.page
        look = self._begun.pop(path, None) or self._begin(path, visit)
        work, last, told_s = look.work, "", 0.0
        while not work.done() and not visit.stopping and path in visit.offered:
            share, doing = look.progress
            now = looking(path.name, doing, share, words, waiting=not self.backend.state().ready)
            if now != last and time.monotonic() - told_s > TELL_EVERY_S:
                last, told_s = now, time.monotonic()
                yield {page.looking: now}
            wait([work], TICK_S)
        try:
            if not work.done():  # stopped: the thread ends at its next step, and nobody waits for it
                raise _StoppedError(words("looking.stopped"))
            visit.accept(path, work.result())
        except Exception as error:  # noqa: BLE001  the page's one place for faults of a clip
            kept = path in visit.offered
            visit.refuse(path)
            return self._say(error, words) if kept else ""
        return ""

    def read(self, request: gr.Request) -> Iterator[Shown]:
        """Have the model tell the emotion of every line that is said in a clip, for who asked for it."""
        visit, page = self._visit(request), self.page
        yield self._same()
        while visit.looking and visit.reading is not None:  # a clip is being measured; its turn comes first
            time.sleep(TICK_S)
        with visit.lock:
            number, visit.reading = visit.reading, None
            clip = next((one for one in visit.clips if one.number == number), None)
            if clip is None or clip.analysis.words is None or visit.looking:
                return
            visit.looking, visit.stopping = True, False
        words, share = self._words(visit), 0.0

        def tell(now: float) -> None:
            nonlocal share
            share = now
            if visit.stopping:
                raise _StoppedError(words("words.stopped"))

        work = self._readers.submit(read_words, clip.analysis.words, self.backend, tell)
        fault = ""
        try:
            told_s = -TELL_EVERY_S
            while not work.done() and not visit.stopping:
                if time.monotonic() - told_s > TELL_EVERY_S:
                    told_s = time.monotonic()
                    yield {page.looking: reading(clip.path.name, share, words)}
                wait([work], TICK_S)
            if not work.done():  # stopped: the thread ends at its next line, and nobody waits for it
                raise _StoppedError(words("words.stopped"))
            visit.learn(clip.number, replace(clip.analysis, words=work.result()))
        except Exception as error:  # noqa: BLE001  the page's one place for faults of reading
            fault = self._say(error, words)
        finally:
            visit.looking = False
        yield {**self._all(visit), page.looking: "", page.clip_note: note(fault, alert=True)}

    # -- the conversation

    def ask(self, asked: str, length: str, variety: float, seed: float | None, request: gr.Request) -> Iterator[Shown]:
        """Stream the answer to a question; one that fails goes back into the question box."""
        sampling = Sampling(
            max_new_tokens=LENGTHS.get(length, LENGTHS["usual"]), temperature=float(variety or 0), seed=int(seed) if seed else None
        )
        yield from self._answer(asked.strip(), "", sampling, request)

    def suggester(self, place: int) -> Callable[..., Iterator[Shown]]:
        """An event that asks the suggestion at a place."""

        def ask(length: str, request: gr.Request) -> Iterator[Shown]:
            visit = self._visit(request)
            yield self._same()
            if place < len(visit.suggested):
                shown, asked = visit.suggested[place]
                yield from self._answer(asked, shown if shown != asked else "", Sampling(LENGTHS.get(length, 200)), request)

        return ask

    def again(self, event: gr.RetryData, length: str, request: gr.Request) -> Iterator[Shown]:
        """Ask a question anew, for another answer; what came after it goes."""
        visit = self._visit(request)
        number = conversation.turn_at(visit, _first(event.index))
        if number is None:
            yield self._same()
            return
        turn = visit.turns[number]
        visit.turns = visit.turns[:number]
        drawn = Sampling(LENGTHS.get(length, 200), temperature=AGAIN_TEMPERATURE, top_p=0.9, seed=time.monotonic_ns() % 2**31)
        yield from self._answer(turn.asked, turn.shown, drawn, request)

    def edit(self, event: gr.EditData, length: str, request: gr.Request) -> Iterator[Shown]:
        """Ask a question in other words; what came after it goes."""
        visit = self._visit(request)
        number, asked = conversation.turn_at(visit, _first(event.index)), str(event.value or "").strip()
        if number is None or not asked:
            yield {self.page.chat: conversation.view(visit, self._words(visit))}
            return
        visit.turns = visit.turns[:number]
        yield from self._answer(asked, "", Sampling(LENGTHS.get(length, 200)), request)

    def _answer(self, asked: str, shown: str, sampling: Sampling, request: gr.Request) -> Iterator[Shown]:
        visit = self._visit(request)
        visit.answering += 1
        try:
            yield from self._write(asked, shown, sampling, request)
        finally:
            visit.answering -= 1

    def _write(self, asked: str, shown: str, sampling: Sampling, request: gr.Request) -> Iterator[Shown]:
        visit, page = self._visit(request), self.page
        words = self._words(visit)
        if self._visits.came_back(_key(request)):
            yield {**self._all(visit), page.question: asked, page.chat_note: note(words("talk.back"), alert=True)}
            return
        if not asked or len(asked) > LONGEST_QUESTION:
            fault = words("talk.long", found=len(asked), most=LONGEST_QUESTION) if asked else words("talk.empty")
            yield {page.chat_note: note(fault)}
            return
        epoch, visit.stopping, written, fault = visit.epoch, False, "", ""
        turn = Turn(asked, "", visit.chosen, shown)
        cared = care(words) if in_crisis(asked) else gr.skip()
        yield {
            page.chat: conversation.view(visit, words, turn, thinking=True),
            page.question: "",
            page.chat_note: "",
            page.care: cared,
            **_busy(page),
        }
        try:
            for _ in self._until_ready(visit):
                if visit.epoch != epoch:
                    return
            turn = replace(turn, about=visit.chosen, rests=conversation.rests_on(visit.shown(), words))
            yield {page.chat: conversation.view(visit, words, turn, thinking=True)}
            for head, messages in _prompts(visit, asked, words):
                reply = Reply(_nothing) if visit.stopping else self.backend.reply(messages, sampling)
                visit.reply = reply
                written += head if not visit.stopping else ""
                for piece in _gathered(reply):
                    if visit.stopping:
                        reply.cancel()
                    if visit.epoch != epoch:
                        return
                    written += piece
                    yield {page.chat: conversation.view(visit, words, replace(turn, answer=written))}
                fault = _ending("cancelled" if visit.stopping else reply.finish_reason, written, words)
        except Exception as error:  # noqa: BLE001  the page's one place for faults of an answer
            fault = self._say(error, words)
        finally:
            visit.reply = None
        if visit.epoch != epoch:
            return
        if written:
            visit.turns.append(replace(turn, answer=written.strip()))
        yield {
            page.chat: conversation.view(visit, words),
            page.question: gr.skip() if written else shown or asked,
            page.chat_note: note(fault, alert=bool(fault) and not written),
            page.record: handed("record", _record(visit)),
            **_idle(page),
        }

    def _until_ready(self, visit: Visit) -> Iterator[None]:
        """Ticks while clips are looked at or the model is being loaded."""
        while not visit.stopping and not visit.settled(TICK_S):
            yield
        while self.backend.there(TICK_S) is None and not visit.stopping:
            yield

    def stop(self, request: gr.Request) -> None:
        """End the answer or the analysis that runs."""
        self._visit(request).stop()

    def clear(self, request: gr.Request) -> Shown:
        """Begin a new conversation about the same clips."""
        visit = self._visit(request)
        visit.clear()
        page = self.page
        return {page.chat: [], page.question: "", page.chat_note: "", page.care: "", page.record: "", **_idle(page)}

    # -- what is kept, and what goes

    def delete(self, stored: Any, request: gr.Request) -> Shown:
        """Forget clips and conversation at once, and say what there was. `stored`: conversations the browser itself deleted."""
        visit, page = self._visit(request), self.page
        words = self._words(visit)
        self._drop(visit)
        gone = visit.forget()
        told = note(keep.deleted(gone, int(stored or 0), words))
        return {
            **self._all(visit), page.chat: [], page.question: "", page.chat_note: told, page.clip_note: "", page.looking: "", page.care: "",
            page.parcel: "", page.record: "", **_idle(page),
        }  # fmt: skip

    def export(self, kind: str) -> Callable[[gr.Request], Shown]:
        """An event that packs what is open for the browser to save; nothing is written to disk."""

        def pack(request: gr.Request) -> Shown:
            visit = self._visit(request)
            words = self._words(visit)
            try:
                parcel = keep.parcel(kind, visit, words)
            except Exception as error:  # noqa: BLE001  a fault of an export is a line, too
                return {self.page.parcel: "", self.page.keep_note: note(self._say(error, words), alert=True)}
            return {
                self.page.parcel: handed("parcel", json.dumps(parcel)),
                self.page.keep_note: note(words("keep.done", name=parcel["name"])),
            }

        return pack

    # -- everything the page's own buttons ask for

    def act(self, signal: str, request: gr.Request) -> Shown:
        """Do what a button of hand-written HTML asks: {"do": "choose", "with": 2}."""
        visit, page = self._visit(request), self.page
        try:
            asked = json.loads(signal)
            do, value = str(asked["do"]), asked.get("with")
        except (ValueError, KeyError, TypeError):
            return self._same()
        if do == "choose":
            visit.choose(int(value))
        elif do == "compare":
            visit.compare()
        elif do == "close":
            clip = next((one for one in visit.clips if one.number == int(value)), None)
            if clip is not None:
                self.backend.forget(clip.path)
            visit.close(int(value))
        elif do == "read":
            visit.reading = int(value)
            return self._same()
        elif do == "language":
            visit.language = chosen(str(value), None)
            words = self._words(visit)
            return self.page.relabelled(words) | self._all(visit) | {page.chat: self._talk(visit)}
        elif do == "stop":
            visit.stop()
            return self._same()
        elif do == "restore":
            return self._restore(visit, value)
        else:
            return self._same()
        return self._all(visit)

    def _restore(self, visit: Visit, said: Any) -> Shown:
        """Open a conversation that the browser kept; its clips are gone, so it goes on as text."""
        words, page = self._words(visit), self.page
        texts = (
            [str(one.get("text", ""))[: 2 * LONGEST_QUESTION] for one in said if isinstance(one, dict)] if isinstance(said, list) else []
        )
        pairs = list(zip(texts[::2], texts[1::2], strict=False))[-MOST_RESTORED:]
        visit.clear()
        visit.turns = [Turn(asked, answer, visit.chosen) for asked, answer in pairs]
        return {
            page.chat: conversation.view(visit, words),
            page.chat_note: note(words("keep.restored")),
            page.record: handed("record", _record(visit)),
        }

    # -- inside

    def _all(self, visit: Visit) -> Shown:
        """Everything that depends on which clips are open, and on the language."""
        words, page = self._words(visit), self.page
        visit.suggested = suggestions([clip.analysis for clip in visit.shown()], words)
        shown: Shown = {
            page.tray: tray(visit, words),
            page.stage: stage(visit, words, lambda path: f"gradio_api/file={quote(str(path))}"),
            page.detail: detail(visit, words),
            page.status: status(self.backend.state(), words),
            page.say: say_pane(words, page.most_bytes),
        }
        for place, button in enumerate(page.suggestions):
            there = place < min(MOST, len(visit.suggested))
            shown[button] = gr.update(value=visit.suggested[place][0] if there else "", visible=there)
        return shown

    def _talk(self, visit: Visit) -> Any:
        """The conversation, for events other than an answer.

        They leave it alone while an answer is written: what another event put there between two pieces kept the rest from being drawn,
        as a browser on a busy machine showed.
        """
        return gr.skip() if visit.answering else conversation.view(visit, self._words(visit))

    def _same(self) -> Shown:
        """Change nothing."""
        return {self.page.clip_note: gr.skip()}

    def _drop(self, visit: Visit) -> None:
        """Let the backend forget what it measured in a session's clips; an answer under way is stopped first, for it holds the backend."""
        visit.stop()
        for path in visit.offered:
            self._begun.pop(path, None)
        for clip in visit.clips:
            if clip.path.is_file():
                self.backend.forget(clip.path)

    def _say(self, error: Exception, words: Words) -> str:
        if isinstance(error, EmollmError):
            return words.fault(str(error), error.code)
        _log.error("the app failed", exc_info=error)
        return words("talk.fault")

    def _visit(self, request: gr.Request) -> Visit:
        return self._visits.of(_key(request))

    def language(self, request: gr.Request) -> str:
        """The language of a session."""
        return self._visit(request).language

    def _words(self, visit: Visit) -> Words:
        return Words(visit.language)


def _first(index: Any) -> int:
    return int(index[0] if isinstance(index, tuple | list) else index)


def _key(request: gr.Request) -> str:
    return request.session_hash or ""


def _busy(page: Page) -> Shown:
    return {page.send: gr.update(visible=False), page.stop: gr.update(visible=True)}


def _idle(page: Page) -> Shown:
    return {page.send: gr.update(visible=True), page.stop: gr.update(visible=False)}


def _record(visit: Visit) -> str:
    """The conversation as the browser keeps it."""
    return json.dumps([{"text": text} for turn in visit.turns for text in (turn.shown or turn.asked, turn.answer)], ensure_ascii=False)


def _prompts(visit: Visit, asked: str, words: Words) -> list[tuple[str, list[Message]]]:
    """What is read for one question, each with what is written before its answer.

    Where clips are compared the question is put to each in turn: a small language model mixes up two clips in one prompt.
    """
    if len(visit.chosen) < 2:
        return [("", visit.messages(asked, visit.chosen))]
    return [
        (("\n\n" if i else "") + f"**{words('clip.numbered', number=number)}:** ", visit.messages(asked, (number,)))
        for i, number in enumerate(visit.chosen)
    ]


def _gathered(pieces: Iterable[str]) -> Iterator[str]:
    """Pieces joined to what a page can follow: the first at once, then whatever came in a tenth of a second, then the rest."""
    waiting, shown_s = "", 0.0
    for piece in pieces:
        waiting += piece
        if time.monotonic() - shown_s > WRITE_EVERY_S:
            shown_s = time.monotonic()
            yield waiting
            waiting = ""
    if waiting:
        yield waiting


def _nothing(_reply: Reply) -> Iterator[str]:
    """The pieces of a reply that was stopped before it was asked for."""
    return iter(())


def _ending(reason: str | None, written: str, words: Words) -> str:
    if reason == "cancelled":
        return words("talk.stopped")
    if reason == "length":
        return words("talk.length")
    return "" if written else words("talk.silent")
