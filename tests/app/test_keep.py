"""Keep: exports, the report, conversations in the browser alone, and a deletion that says what it deleted."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from acting import Running, wait_for
from app_places import SAMPLES
from pages import Page

JOY, SAD = SAMPLES / "sample_joy.mp4", SAMPLES / "sample_sad.mp4"


def saved(browser: Any, page: Page, kind: str, name: str) -> Path:
    page.press(f"#emollm-export-{kind}")
    path = Path(browser.saved) / name
    wait_for(lambda: path.is_file() and path.stat().st_size, f"{name} was not saved: {page.text('#emollm-keep-note')!r}")
    page.shows("#emollm-keep-note", f"Saved: {name}")
    return path


def test_exports_are_saved_by_the_browser_and_leave_nothing(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.press("#emollm-keep > button")
    page.press("#emollm-export-json")
    page.shows("#emollm-keep-note", "Load a clip first.")
    page.open(JOY)
    plain = json.loads(saved(browser, page, "json", "sample_joy.json").read_text("utf-8"))
    assert plain["kind"] == "video" and len(plain["people"][0]["frames"]) == 40
    rows = list(csv.DictReader(io.StringIO(saved(browser, page, "csv", "sample_joy.moments.csv").read_text("utf-8"))))
    assert {"face", "voice", "words", "joined", "disagreement"} == {row["modality"] for row in rows}
    frames = list(csv.DictReader(io.StringIO(saved(browser, page, "faces", "sample_joy.frames.csv").read_text("utf-8"))))
    assert len(frames) == 40 and "AU12_r" in frames[0]
    assert "00:00:00,700 --> " in saved(browser, page, "srt", "sample_joy.srt").read_text("utf-8")
    assert saved(browser, page, "png", "sample_joy.png").read_bytes().startswith(b"\x89PNG")
    assert running.clips() == ["sample_joy.mp4"], "no export stays on this machine's disk"


def test_the_report_is_one_file_that_works_alone(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.open(JOY)
    page.ask("how?")
    page.answered("You asked: how?")
    page.press("#emollm-keep > button")
    report = saved(browser, page, "html_clip", "sample_joy.html")
    text = report.read_text("utf-8")
    assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text
    browser.get(report.as_uri())
    wait_for(lambda: page.js("return document.querySelector('video.em-media')?.readyState >= 2"), "the clip inside does not play")
    wait_for(lambda: page.js("return document.querySelector('.em-box text')?.textContent") == "neutral", "no box was drawn")
    page.js("document.querySelector('.em-carried [data-seek]').click()")
    wait_for(lambda: page.js("return document.querySelector('video').currentTime") > 2.9, "its buttons do not seek")
    assert "You asked: how?" in page.text(".em-talk") and "not inner states" in page.text("header")


def test_conversations_stay_in_this_browser_alone(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.ask("remember this")
    page.answered("You asked: remember this")
    wait_for(lambda: len(page.kept()) == 1, "the browser kept nothing")
    page.ask("and this")
    page.answered("You asked: and this")
    wait_for(lambda: len(page.kept()[0]["turns"]) == 4, "the conversation was kept twice, or in part")
    page = Page(browser, running)
    assert "remember this" not in page.text("#emollm-chat"), "a new page begins empty"
    page.press("#emollm-history > button")
    page.shows("#emollm-kept", "remember this")
    page.press("#emollm-kept li .em-link")
    page.shows("#emollm-chat", "You asked: and this")
    page.ask("going on")
    page.answered("You asked: going on")
    assert [m.text for m in running.backend.asked[-1]][0::2] == ["remember this", "and this", "going on"]
    page.press("#emollm-kept input[type=checkbox]")
    wait_for(lambda: page.kept() == [], "switching off did not forget")
    page.ask("unseen")
    page.answered("You asked: unseen")
    assert page.kept() == []


def test_delete_says_what_it_deleted(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.press("#emollm-delete")
    page.shows("#emollm-note", "There was nothing of yours to delete.")
    page.open(JOY, SAD)
    page.ask("first")
    page.answered("You asked: first")
    wait_for(lambda: len(page.kept()) == 1, "the browser kept nothing")
    page.press("#emollm-delete")
    page.shows(
        "#emollm-note",
        "Deleted: 2 clips (sample_joy.mp4, sample_sad.mp4) with what was measured in them, 2 messages and "
        "1 conversations kept in this browser. Nothing of yours is left here.",
    )
    assert running.clips() == [] and page.kept() == [] and not page.all("video.em-media")
    assert sorted(running.backend.forgotten) == ["sample_joy.mp4", "sample_sad.mp4"]
    assert "first" not in page.text("#emollm-chat")
    page.ask("still there?")
    page.answered("You asked: still there?")
    assert [m.text for m in running.backend.asked[-1]] == ["still there?"] and not running.backend.asked[-1][0].clips


def test_delete_while_an_answer_is_written(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.ask("slowly now")
    page.shows("#emollm-chat", "You asked:")
    page.press("#emollm-delete")
    page.shows("#emollm-note", "nothing of yours")
    running.backend.gate.set()
    page.ask("next")
    page.answered("You asked: next")
    assert "slowly" not in page.text("#emollm-chat"), "a late piece came back"
    assert [m.text for m in running.backend.asked[-1]] == ["next"]
