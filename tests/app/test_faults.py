"""Bad files, huge files, a lost connection, a closed tab, several uploads and several people: a clear line, and a page that still works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acting import Running, wait_for
from app_places import SAMPLES
from pages import Page

JOY, SAD = SAMPLES / "sample_joy.mp4", SAMPLES / "sample_sad.mp4"


def test_bad_files_are_refused_in_words_and_what_is_open_stays(browser: Any, running: Running, tmp_path: Path) -> None:
    html, empty, cut = tmp_path / "holiday.mp4", tmp_path / "empty.mp4", tmp_path / "cut.mp4"
    html.write_text("<html>not a clip</html>")
    empty.write_bytes(b"\0" * 100)
    cut.write_bytes(JOY.read_bytes()[:4000])
    page = Page(browser, running)
    page.open(SAD)
    for bad in (html, empty, cut):
        page.upload(bad)
        page.shows("#emollm-clip-note", bad.name)
        assert page.all("#emollm-clip-note [role=alert]") and "Traceback" not in page.text()
        wait_for(lambda: running.clips() == ["sample_sad.mp4"], "the bad file stayed on disk")
    page.shows("#emollm-detail", "mouth corners raised")
    page.ask("still there?")
    page.answered("You asked: still there?")
    assert "Error" not in page.text()


def test_a_huge_file_is_refused_before_it_travels(browser: Any, running: Running, tmp_path: Path) -> None:
    huge = tmp_path / "huge.mp4"
    with huge.open("wb") as file:
        file.truncate(250_000_000)
    page = Page(browser, running)
    page.upload(huge)
    page.shows("#emollm-clip-note", "huge.mp4 has 250 MB; a clip may have 200 MB.")
    page.open(SAD)
    assert running.clips() == ["sample_sad.mp4"]


def test_two_uploads_at_once_and_one_more_meanwhile(browser: Any, running: Running, tmp_path: Path) -> None:
    slow = tmp_path / "slow.mp4"
    slow.write_bytes(SAD.read_bytes())
    page = Page(browser, running)
    page.upload(slow)
    page.shows("#emollm-looking", "Faces")
    page.upload(JOY, SAD)
    wait_for(lambda: len(running.clips()) == 3, "the other uploads were not taken in")
    running.backend.gate.set()
    wait_for(lambda: len(page.all(".em-tray li")) == 3, "not every clip opened")
    assert sorted(running.clips()) == ["sample_joy.mp4", "sample_sad.mp4", "slow.mp4"]


def test_closing_the_tab_deletes_the_clips(browser: Any, running: Running, tmp_path: Path) -> None:
    slow = tmp_path / "slow.mp4"
    slow.write_bytes(SAD.read_bytes())
    page = Page(browser, running)
    page.open(JOY)
    page.upload(slow)
    page.shows("#emollm-looking", "Faces")
    browser.get("about:blank")
    wait_for(lambda: running.clips() == [], f"clips stayed on disk: {running.clips()}")
    assert "sample_joy.mp4" in running.backend.forgotten
    wait_for(lambda: running.remembered() == [], "what the closed page showed is still held")


def test_two_people_never_see_each_others_clips(browser: Any, running: Running) -> None:
    mine = Page(browser, running)
    mine.open(JOY)
    mine.ask("my question")
    mine.answered("You asked: my question")
    address = mine.js("return document.querySelector('video.em-media').src")
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    theirs = Page(browser, running)
    assert not theirs.all(".em-tray") and "my question" not in theirs.text("#emollm-chat")
    theirs.open(SAD)
    theirs.ask("their question")
    theirs.answered("You asked: their question")
    assert [m.text for m in running.backend.asked[-1]] == ["their question"]
    assert theirs.js("return document.querySelector('video.em-media').src").rpartition("/")[0] != address.rpartition("/")[0]
    token = address.rpartition("/")[0].rpartition("/")[2]
    assert len(token) == 32, "nobody can guess where a clip lies"
    browser.close()
    browser.switch_to.window(first)
    wait_for(lambda: running.clips() == ["sample_joy.mp4"], "closing one page deleted too much, or too little")
    mine.ask("and now?")
    mine.answered("You asked: and now?")


def test_a_lost_connection_is_said_and_ends_by_itself(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.execute_cdp_cmd("Network.enable", {})
    try:
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        wait_for(lambda: "connection to emollm is lost" in page.text("#emollm-lost"), "nobody said that the connection is lost")
    finally:
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline | {"offline": False})
    wait_for(lambda: not page.all("#emollm-lost"), "the line stayed although the connection came back")
    page.ask("back again")
    page.shows("body", "back again")
