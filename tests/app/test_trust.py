"""Trust: consent before recording, what this is and is not, help in a crisis, nothing from elsewhere; in every language."""

from __future__ import annotations

import re
from typing import Any

from acting import Running, wait_for
from pages import Page

from emollm.media.decode import decode_clip


def test_recording_needs_consent_and_keeps_one_file(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.press("#emollm-record > button")
    wait_for(lambda: page.all("#emollm-consent input"), "nobody asked for consent")
    assert not [b for b in page.all("#emollm-microphone button, #emollm-camera button") if b.is_displayed()]
    page.press("#emollm-consent input")
    tab = wait_for(lambda: [b for b in page.all("#emollm-record button[role=tab]") if "Microphone" in b.text], "no microphone was offered")[
        0
    ]
    page.js("arguments[0].click()", tab)
    wait_for(lambda: [b for b in page.all("#emollm-microphone .record-button") if b.is_displayed()], "no record button came")[0].click()
    stop = wait_for(lambda: [b for b in page.all("#emollm-microphone .stop-button") if b.is_displayed()], "recording did not start")[0]
    wait_for(lambda: "0:01" in page.text("#emollm-microphone") or "00:01" in page.text("#emollm-microphone"), "the recorder's clock stood")
    page.js("arguments[0].click()", stop)
    wait_for(lambda: page.all("audio.em-media"), f"the recording did not open: {page.text('#emollm-clip-note')!r}")
    assert len(running.clips()) == 1
    page.press("#emollm-delete")
    wait_for(lambda: running.clips() == [], "the recording stayed on disk")


def test_what_it_is_and_is_not_is_said(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    assert "not inner state" in page.text(".em-footer") and "Art. 5(1)(f)" in page.text(".em-footer")
    page.press(".em-footer .em-link")
    page.shows(".em-about", "What leaves this machine: nothing")
    about = page.text(".em-about")
    for said in (
        '"Cannot tell" is an answer',
        "lie detection",
        "Art. 50(3)",
        "non-commercial",
        "smollm2-135m-instruct",
        "Apache-2.0",
        "988",
    ):
        assert said in about, said


def test_words_of_crisis_bring_help_above_the_conversation(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.ask("I had a hard day")
    page.answered("You asked: I had a hard day")
    assert not page.text("#emollm-care")
    page.ask("I want to die")
    page.shows("#emollm-care", "You do not have to carry this alone")
    assert "988" in page.text("#emollm-care") and page.all("#emollm-care [role=alert]")
    page.answered("You asked: I want to die")


def test_everything_is_said_in_german_too(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.press("#emollm-examples button")
    wait_for(lambda: page.all(".em-time"), "the example did not open")
    page.press('[data-do="language"][data-with="de"]')
    page.shows(".em-verdict", "Wie es wirkt")
    page.shows(".em-footer", "Wahrgenommener Ausdruck")
    wait_for(lambda: page.js("return document.documentElement.lang") == "de", "the page's language was not told to screen readers")
    assert page.all("video.em-media"), "the clip stayed open"
    page.shows("#emollm-detail", "Mundwinkel gehoben")
    page.press(".em-suggestion")
    page.answered("You asked: How does this person feel")
    assert "Wie fühlt sich diese Person" in page.text("#emollm-chat"), "the question is shown in German"
    assert running.backend.asked[-1][-1].text.startswith("How does this person feel"), "and asked in the model's language"
    shown = page.text()
    for english in ("Sample:", "Keep", "Settings", "Send", "Delete my data", "What was measured", "Record with"):
        assert not re.search(rf"\b{english}\b", shown), english


def test_pages_may_load_nothing_from_elsewhere(running: Running) -> None:
    import httpx

    answer = httpx.get(running.address)
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"https?://", answer.text)
    assert httpx.get(f"{running.address}/gradio_api/file=/etc/passwd").status_code == 403


def test_a_camera_recording_is_seen_and_heard(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.press("#emollm-record > button")
    wait_for(lambda: page.all("#emollm-consent input"), "nobody asked for consent")
    page.press("#emollm-consent input")

    def shown(selector: str) -> list[Any]:
        return [b for b in page.all(f"#emollm-camera {selector}") if b.is_displayed()]

    page.js("arguments[0].click()", wait_for(lambda: shown("button"), "no camera was offered")[0])
    record = wait_for(lambda: shown(".capture-button"), "the camera did not start")[0]
    began = page.js("return document.querySelector('#emollm-camera video').currentTime")
    page.js("arguments[0].click()", record)
    stop = wait_for(lambda: shown("[title='stop recording']"), "recording did not start")[0]
    wait_for(lambda: page.js("return document.querySelector('#emollm-camera video').currentTime") > began + 1.5, "the camera stood still")
    page.js("arguments[0].closest('button').click()", stop)
    wait_for(lambda: page.all("video.em-media"), f"the recording did not open: {page.text('#emollm-clip-note')!r}")
    assert len(running.clips()) == 1
    seen = decode_clip(next(p for p in running.folder.rglob("*") if p.is_file()))
    assert seen.duration_s > 1 and len(seen.frames) > 2 and seen.audio is not None
    page.press("#emollm-delete")
    wait_for(lambda: running.clips() == [], "the recording stayed on disk")
