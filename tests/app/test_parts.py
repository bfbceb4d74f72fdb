"""The app's parts without a browser: sessions, the backend in the background, suggestions, what the chat shows, exports, benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from acting import pretend, wait_for
from clips import video

from emollm.app import keep, parts
from emollm.app.conversation import chat_text, rests_on, turn_at, view
from emollm.app.standby import Standby
from emollm.app.suggest import suggestions
from emollm.app.visits import Gone, Turn, Visit, Visits, private_folder
from emollm.chat.echo import EchoBackend
from emollm.errors import BackendError, EmollmError
from emollm.exports import panels
from emollm.exports.html_report import html_report
from emollm.texts import Words
from emollm.values import Analysis, Message, Segment, Transcript

ENGLISH = Words("en")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(video(6.0))
    return path


@pytest.fixture
def analysis(clip: Path) -> Analysis:
    return pretend(EchoBackend().analyze(clip))


@pytest.fixture
def visit(tmp_path: Path) -> Visit:
    folder = tmp_path / "private"
    folder.mkdir()
    return Visits(folder).of("a")


def opened(visit: Visit, source: Path, analysis: Analysis) -> None:
    visit.offer(source, keep=True)
    assert visit.accept(visit.offered[0], analysis)


def test_a_visit_offers_accepts_refuses_and_forgets(tmp_path: Path, clip: Path, analysis: Analysis) -> None:
    visits = Visits(tmp_path / "private")
    (tmp_path / "private").mkdir()
    visit = visits.of("a")
    visit.turns = [Turn("before", "yes", ())]
    opened(visit, clip, analysis)
    first = visit.clips[0].path
    assert clip.exists() and visit.messages("now", visit.chosen) == [Message("user", "now", (first,))], "what came before is not about it"
    opened(visit, clip, analysis)
    visit.choose(1)
    visit.compare()
    assert visit.chosen == (1, 2)
    visit.compare()
    assert visit.chosen == (2,)
    visit.offer(clip, keep=False)
    visit.refuse()
    assert len(visit.clips) == 2 and first.exists() and not clip.exists()
    with pytest.raises(EmollmError, match=r"clip\.mp4 could not be taken in"):
        visit.offer(clip, keep=False)
    assert visit.close(2) is not None and visit.chosen == (1,)
    visits.end("a")
    assert not list((tmp_path / "private").iterdir())
    assert visits.came_back("a") and not visits.came_back("a")


def test_a_clip_that_was_taken_back_is_not_accepted(visit: Visit, clip: Path, analysis: Analysis) -> None:
    visit.offer(clip, keep=True)
    path = visit.offered[0]
    assert visit.forget() == Gone()
    assert not visit.accept(path, analysis) and not visit.clips and not path.exists()


def test_forgetting_says_what_there_was(visit: Visit, clip: Path, analysis: Analysis) -> None:
    opened(visit, clip, analysis)
    visit.turns = [Turn("a", "b", (1,))]
    gone = visit.forget()
    assert gone == Gone(("clip.mp4",), 2)
    told = "Deleted: 1 clip (clip.mp4) with what was measured in it, 2 messages and 3 conversations kept in this browser."
    assert keep.deleted(gone, 3, ENGLISH).startswith(told)
    assert "nothing of yours" in keep.deleted(Gone(), 0, ENGLISH)


def test_left_overs_of_dead_processes_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive = tmp_path / f"emollm-app-{ended.pid}-x", tmp_path / f"emollm-app-{os.getpid()}-x"
    dead.mkdir()
    alive.mkdir()
    assert private_folder().stat().st_mode & 0o077 == 0
    assert alive.exists() and not dead.exists()


def test_a_backend_loads_behind_the_page_and_can_be_changed() -> None:
    gate = threading.Event()

    class Other(EchoBackend):
        system = "other"

    def make(system: str, _scale: str) -> Any:
        gate.wait(30)
        if system == "broken":
            raise BackendError("no weights")
        return Other() if system == "other" else EchoBackend()

    standby = Standby(make, "echo", "toy")
    with pytest.raises(BackendError, match="no model was loaded"):
        standby.there()
    assert standby.load() and not standby.load(), "one load at a time"
    assert standby.there(0.01) is None and not standby.state().ready
    gate.set()
    assert standby.there() is not None and standby.settled(30)
    assert standby.load("broken", "toy") and standby.settled(30)
    assert standby.state().fault == "no weights" and standby.system == "echo", "the one before goes on answering"
    assert standby.load("other", "toy") and standby.settled(30)
    assert standby.system == "other" and standby.state().fault == ""
    first = Standby(make, "broken", "toy")
    first.load()
    with pytest.raises(BackendError, match="no weights"):
        first.there()


def test_suggestions_are_answerable(analysis: Analysis) -> None:
    asked = [english for _, english in suggestions([analysis], ENGLISH)]
    assert asked[0].startswith("How does this person feel") and "What happens at about 3.0 seconds?" in asked and len(asked) <= 4
    german = suggestions([analysis], Words("de"))
    assert [english for _, english in german] == asked and german[0][0].startswith("Wie fühlt sich")
    assert suggestions([], ENGLISH)[0][1] == "I had a hard day."
    assert len(suggestions([analysis, analysis], ENGLISH)) == 3


def test_the_view_folds_links_and_finds_its_turns(visit: Visit, clip: Path, analysis: Analysis) -> None:
    opened(visit, clip, analysis)
    visit.turns = [Turn("when?", "At 3.0 seconds, and at 99 s.", (1,), rests=rests_on(visit.clips, ENGLISH)), Turn("so?", "Yes.", (1,))]
    shown = view(visit, ENGLISH)
    assert [m["role"] for m in shown] == ["user", "assistant", "assistant", "user", "assistant"]
    assert shown[1]["metadata"] == {"title": "What I looked at", "status": "done"}
    assert "mouth corners raised" in shown[1]["content"] and "Together" in shown[1]["content"]
    assert shown[2]["content"] == "At [3.0 seconds](#t=3.00), and at 99 s.", "only times inside the clip lead anywhere"
    assert [turn_at(visit, i) for i in range(6)] == [0, 0, 0, 1, 1, None]


def test_reasoning_stays_foldable_and_nothing_else_does() -> None:
    assert chat_text("<think>so</think><b>x</b>") == "<think>so</think>&lt;b&gt;x&lt;/b&gt;"
    assert "![" not in chat_text("![x](http://192.0.2.1)") and "](http" not in chat_text("[x](http://192.0.2.1)")


def test_everything_from_a_clip_is_escaped(analysis: Analysis, visit: Visit, clip: Path) -> None:
    bad = '"><img src=x onerror="alert(1)">'
    hostile = Analysis(
        name=bad, kind="video", digest="", duration_s=6.0, faces=analysis.faces, voice=analysis.voice, missing={"words": bad}, features={},
        words=Transcript(bad, (Segment(0.0, 1.0, bad),)), timings_s={}, warnings=(f"x: {bad}",),
    )  # fmt: skip
    opened(visit, clip, hostile)
    pages = [
        panels.clip_panels(hostile, f"x?{bad}", ENGLISH, title=bad),
        panels.clip_details(hostile, ENGLISH),
        panels.note(bad),
        chat_text(bad),
        html_report([(hostile, None)], ENGLISH, [(bad, bad)]),
        parts.tray(visit, ENGLISH),
        parts.looking(bad, "listening", 0.5, ENGLISH, waiting=False),
    ]
    for page in pages:
        seen: list[tuple[str, list[tuple[str, str | None]]]] = []
        parser = HTMLParser()
        parser.handle_starttag = lambda tag, attrs, seen=seen: seen.append((tag, attrs))  # type: ignore[method-assign]
        parser.feed(page)
        assert all(tag != "img" and "onerror" not in dict(attributes) for tag, attributes in seen)


def test_parcels(visit: Visit, clip: Path, analysis: Analysis) -> None:
    with pytest.raises(EmollmError, match="Load a clip first"):
        keep.parcel("json", visit, ENGLISH)
    opened(visit, clip, analysis)
    assert json.loads(keep.parcel("json", visit, ENGLISH)["text"])["duration_s"] == pytest.approx(6.0, abs=0.2)
    with pytest.raises(EmollmError, match="Write a question"):
        keep.parcel("chat", visit, ENGLISH)
    report = keep.parcel("html", visit, ENGLISH)["text"]
    assert "<video" not in report and "base64" not in report, "without being asked no picture goes into a report"
    assert "<video" in keep.parcel("html_clip", visit, ENGLISH)["text"]


def test_an_uncertain_verdict_is_no_answer(analysis: Analysis) -> None:
    from dataclasses import replace

    from emollm.verdict import judge

    verdict = judge(analysis)
    assert verdict is not None
    flat = replace(verdict, scores=verdict.scores * 0 + 1 / len(verdict.scores))
    told = panels.verdict_line(analysis, flat, ENGLISH)
    assert "Cannot tell" in told and "Closest: " in told
    assert "Cannot tell" in panels.verdict_line(replace(analysis, faces=(), voice=None), None, ENGLISH)


def test_results_stand_beside_their_floors() -> None:
    from emollm.app.benchmarks_tab import results

    found = {
        "card": "open-faces", "n": 10, "system": "emollm", "headline": "accuracy",
        "metrics": {"macro_f1": 0.5, "accuracy": 0.6, "interval": [0.3, 0.8]},
        "floors": {"majority": {"accuracy": 0.4}}, "warnings": ["<few>"],
    }  # fmt: skip
    page = results(found, ENGLISH)
    assert page.index("accuracy") < page.index("macro_f1") and "0.300 – 0.800" in page and "floor: majority" in page and "0.400" in page
    assert "&lt;few&gt;" in page


def test_a_system_without_trained_weights_is_refused() -> None:
    from emollm.app.systems_tab import refused

    assert "No trained weights" in refused("favchat", "mini", ENGLISH) or "weights pull" in refused("favchat", "mini", ENGLISH)
    assert "no-such" in refused("no-such", "mini", ENGLISH)


def test_waiting_is_answered_by_the_splash_page_at_once() -> None:
    import httpx
    from app_places import free_port

    from emollm.app.splash import Splash

    port = free_port()
    splash = Splash("127.0.0.1", port)
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/", headers={"accept-language": "de-AT,en;q=0.5"})
        assert "Gleich bereit" in answer.text and "http" not in answer.text.replace("</html>", "").replace("http-equiv", "")
        assert httpx.get(f"http://127.0.0.1:{port}/emollm/alive").status_code == 503
    finally:
        splash.close()
    wait_for(lambda: _refused(port), "the address was not given free")


def _refused(port: int) -> bool:
    import httpx

    try:
        httpx.get(f"http://127.0.0.1:{port}/")
    except httpx.ConnectError:
        return True
    return False
