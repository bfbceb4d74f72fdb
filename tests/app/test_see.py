"""See: player with boxes, timeline that follows and seeks, evidence, disagreement, transcript, two clips side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from acting import PATIENCE_S, Running, wait_for
from app_places import SAMPLES
from clips import wav
from pages import Page
from selenium.webdriver.common.keys import Keys

JOY = SAMPLES / "sample_joy.mp4"


def at(page: Page) -> float:
    return float(page.js("return document.querySelector('video.em-media').currentTime"))


def test_player_boxes_and_timeline_follow_one_another(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.open(JOY)
    seconds = wait_for(lambda: page.js("return document.querySelector('video.em-media').duration"), "no video was played")
    assert seconds == pytest.approx(8.2, abs=0.3)
    tag = "return document.querySelector('.em-box text')?.textContent ?? ''"
    wait_for(lambda: page.js(tag) == "neutral", "no box with what the face shows was drawn")
    page.js("document.querySelector('video.em-media').currentTime = 5")
    wait_for(lambda: page.js(tag) == "happy", "the box did not follow the player")
    share = float(page.js("return document.querySelector('.em-time').style.getPropertyValue('--at')"))
    assert share == pytest.approx(5 / seconds, abs=0.02), "the playhead followed the player"
    left, right = page.js("const b = document.querySelector('.em-box rect').getBBox(); return [b.x, b.x + b.width]")
    assert (left, right) == (230, 400)
    size = page.js("const v = document.querySelector('.em-boxes').viewBox.baseVal; return [v.width, v.height]")
    assert size == page.js("const v = document.querySelector('video.em-media'); return [v.videoWidth, v.videoHeight]")
    page.press('input[data-act="boxes"]')
    wait_for(lambda: page.js("return getComputedStyle(document.querySelector('.em-boxes')).display") == "none", "boxes could not be hidden")


def test_the_timeline_seeks_by_click_and_by_key(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.open(JOY)
    wait_for(lambda: page.js("return document.querySelector('video.em-media').readyState") >= 1, "the video did not load")
    slider = page.all(".em-scrub")[0]
    page.js("arguments[0].scrollIntoView({block: 'center'})", slider)
    from selenium.webdriver import ActionChains

    ActionChains(browser).move_to_element(slider).click().perform()
    wait_for(lambda: abs(at(page) - 4.11) < 0.15, f"a click in the middle led to {at(page)}")
    slider.send_keys(Keys.ARROW_RIGHT)
    wait_for(lambda: abs(at(page) - 5.11) < 0.15, f"the right arrow led to {at(page)}")
    slider.send_keys(Keys.HOME)
    wait_for(lambda: at(page) == 0, f"Home led to {at(page)}")
    assert slider.get_attribute("aria-valuetext") == "0:00.0"
    slider.send_keys(" ")
    wait_for(lambda: at(page) > 0.2, "the space bar did not play")
    slider.send_keys(" ")
    wait_for(lambda: page.js("return document.querySelector('video.em-media').paused"), "the space bar did not pause")


def test_verdict_evidence_disagreement_and_transcript(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.open(JOY)
    page.shows(".em-verdict", "How it comes across")
    page.shows(".em-sides", "do not say the same")
    assert "face: " in page.text(".em-sides") and "voice: sad" in page.text(".em-sides")
    assert page.all(".em-clash"), "the timeline marks where face and voice differ"
    page.shows("#emollm-detail", "mouth corners raised")
    page.shows(".em-carried", "mouth corners up")
    assert "I did <b>not</b> expect this." in page.text(".em-transcript")
    page.press(".em-transcript [data-seek]")
    wait_for(lambda: abs(at(page) - 0.7) < 0.1, "the transcript did not lead to its moment")
    page.press(".em-carried [data-seek]")
    wait_for(lambda: at(page) > 2.9, "the moment that carried it was not gone to")
    wait_for(lambda: page.all(".em-lane-unit"), "movements have no lane")
    assert page.text(".em-lane-unit > span") == "mouth corners up"


def test_words_are_read_when_that_is_asked_for(browser: Any, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running.backend, "score", lambda messages, labels: {name: 0.8 if name == "happy" else 0.1 for name in labels})
    page = Page(browser, running)
    page.open(JOY)
    assert "words:" not in page.text(".em-sides")
    page.press("[data-do=read]")
    page.shows(".em-sides", "words: happy")
    assert not page.all("[data-do=read]"), "they are read once"
    page.ask("How does this person feel?")
    page.answered("It begins at 3.0 seconds.")


def reading_that_waits(browser: Any, running: Running, monkeypatch: pytest.MonkeyPatch) -> Page:
    """A page whose clip's words are being read until the gate of the backend is opened."""

    def wait(_messages: Any, labels: Any) -> dict[str, float]:
        assert running.backend.gate.wait(PATIENCE_S)
        return dict.fromkeys(labels, 1.0)

    monkeypatch.setattr(running.backend, "score", wait)
    page = Page(browser, running)
    page.open(JOY)
    page.press("[data-do=read]")
    page.shows("#emollm-looking", "Reading the words of sample_joy.mp4")
    return page


def test_reading_words_can_be_stopped(browser: Any, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    page = reading_that_waits(browser, running, monkeypatch)
    page.press(".em-halt")
    page.shows("#emollm-clip-note", "Stopped; the words were not read.")
    running.backend.gate.set()
    assert "words:" not in page.text(".em-sides") and page.all("[data-do=read]"), "it can be asked for again"


def test_a_clip_that_comes_while_words_are_read_is_not_lost(browser: Any, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    page = reading_that_waits(browser, running, monkeypatch)
    page.upload(SAMPLES / "sample_sad.mp4")
    wait_for(lambda: any("sample_sad" in name for name in running.clips()), "the second clip was not taken in")
    running.backend.gate.set()
    wait_for(lambda: len(page.all(".em-tray li")) == 2, "the second clip was not opened")


def test_people_are_told_apart(browser: Any, running: Running, tmp_path: Path) -> None:
    two = tmp_path / "two.mp4"
    two.write_bytes(JOY.read_bytes())
    page = Page(browser, running)
    page.open(two)
    named = "return [...document.querySelectorAll('.em-box text')].map(t => t.textContent)"
    wait_for(lambda: len(page.js(named)) == 2, "two people have no two boxes")
    assert page.js(named) == ["Person 1 (main): neutral", "Person 2: neutral"]
    assert "Person 1, main" in page.text(".em-lanes")


def test_two_clips_side_by_side_play_by_themselves(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.open(JOY, SAMPLES / "sample_sad.mp4")
    page.press(".em-compare")
    wait_for(lambda: len(page.all("video.em-media")) == 2, "two players were not shown")
    ready = "return [...document.querySelectorAll('video.em-media')].every(v => v.readyState >= 1)"
    wait_for(lambda: page.js(ready), "the videos did not load")
    page.js("document.querySelectorAll('.em-scrub')[1].focus()")
    page.all(".em-scrub")[1].send_keys(Keys.ARROW_RIGHT)
    times = "return [...document.querySelectorAll('video.em-media')].map(v => v.currentTime)"
    wait_for(lambda: page.js(times) == [0, 1], f"the wrong player moved: {page.js(times)}")


def test_sound_and_picture_are_shown_as_what_they_are(browser: Any, running: Running, tmp_path: Path) -> None:
    picture, sound = tmp_path / "picture.mp4", tmp_path / "sound.wav"
    picture.write_bytes(cv2.imencode(".png", np.full((40, 60, 3), 128, np.uint8))[1].tobytes())
    sound.write_bytes(wav(1.0))
    page = Page(browser, running)
    page.open(picture)
    wait_for(lambda: page.js("return document.querySelector('img.em-media')?.naturalWidth") == 60, "the picture was not shown as one")
    assert not page.all(".em-time") and "Cannot tell" in page.text(".em-verdict")
    page.open(sound)
    wait_for(lambda: page.all("audio.em-media"), "the sound was not shown as one")
    assert "Not used: " in page.text("#emollm-detail")
