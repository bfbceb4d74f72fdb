"""The command with the shipped model, from a cold start: a browser uploads, sees what is shown, asks and reads an answer."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acting import Acting, Running, wait_for
from app_places import SAMPLES, free_port
from pages import Page
from paths import HAVE_WEIGHTS
from selenium.webdriver.common.keys import Keys

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAVE_WEIGHTS, reason="needs `emollm weights pull mini`")]
PLACES = (("card", "input"), ("data", "textarea"), ("limit", "input"))
ASK = "How does this person feel, and how can you tell?"


@pytest.fixture
def real() -> Iterator[Running]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "emollm", "app", "--port", str(port), "--threads", "1"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("emollm is ready at")
        yield Running(f"http://127.0.0.1:{port}", Acting(), next(Path(tempfile.gettempdir()).glob(f"emollm-app-{process.pid}-*")))
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert process.returncode == 0


def test_from_a_cold_start_to_an_answer_and_back(browser: Any, real: Running) -> None:
    page = Page(browser, real)
    page.upload(SAMPLES / "sample_joy.mp4")
    wait_for(lambda: page.text("#emollm-looking"), "nobody said that the clip is taken in")
    wait_for(lambda: page.text("#emollm-status").startswith("Ready"), "the model was not loaded", patience_s=600)
    wait_for(lambda: page.all(".em-time"), "the clip was not measured")
    assert "happy" in page.text(".em-verdict").lower() and "surprised" in page.text(".em-sides")
    page.ask(ASK)
    wait_for(lambda: "happ" in page.text("#emollm-chat").lower(), "no answer appeared")
    page.press("#emollm-delete")
    page.shows("#emollm-note", "Deleted: 1 clip (sample_joy.mp4)")
    assert real.clips() == [] and "Traceback" not in page.text()


def test_a_card_is_run_from_the_page(browser: Any, real: Running, tmp_path: Path) -> None:
    page = Page(browser, real)
    page.tab(2)
    page.press("#emollm-run > button")
    (card,), (data,), (limit,) = (page.all(f"#emollm-{name} {kind}") for name, kind in PLACES)
    wait_for(card.is_displayed, "the form did not open")
    card.click()
    card.send_keys(Keys.CONTROL, "a")  # what stands there is not replaced by typing
    card.send_keys("open-talks")
    wait_for(lambda: page.all("#emollm-card [role=option]"), "the card was not offered")
    card.send_keys(Keys.ENTER)
    data.send_keys(str(tmp_path))  # this card brings its own clips
    limit.send_keys(Keys.CONTROL, "a")
    limit.send_keys("2")
    page.press("#emollm-run-start")
    page.shows("#emollm-run-note", "1 of 2")
    page.shows("#emollm-results", "open-talks: 2 items")
    assert "right_throughout" in page.text("#emollm-results") and "Done in" in page.text("#emollm-run-note")
