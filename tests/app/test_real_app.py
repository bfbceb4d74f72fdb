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

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAVE_WEIGHTS, reason="needs `emollm weights pull mini`")]
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
