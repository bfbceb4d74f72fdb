"""Minutes of use leave no file and flat memory: clips opened, asked about, exported and deleted, over and over."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from acting import Running, wait_for
from app_places import SAMPLES
from pages import Page

pytestmark = pytest.mark.slow
MINUTES = float(os.environ.get("EMOLLM_USE_MINUTES", "10"))
WARM_UP = 5  # rounds before memory is looked at: caches fill
MOST_GROWTH = 1.05


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_memory_stays_flat_and_the_disk_empty(browser: Any, running: Running) -> None:
    """The app runs in this process, so its memory is this process's."""
    rounds, sizes, threads = 0, [], []
    end = time.monotonic() + 60 * MINUTES
    while time.monotonic() < end or rounds < 2 * WARM_UP:
        page = Page(browser, running)
        page.open(SAMPLES / "sample_joy.mp4", SAMPLES / "sample_sad.mp4")
        page.ask(f"round {rounds}")
        page.answered(f"You asked: round {rounds}")
        page.press("#emollm-keep > button")
        page.press("#emollm-export-html")
        page.shows("#emollm-keep-note", "Saved:")
        if rounds % 2:
            page.press("#emollm-delete")
            page.shows("#emollm-note", "Deleted: 2 clips")
        browser.get("about:blank")
        wait_for(lambda: running.clips() == [], f"files stayed: {running.clips()}")
        rounds += 1
        sizes.append(resident_mb())
        threads.append(threading.active_count())
        running.backend.asked.clear()
    told = f"{rounds} rounds: {sizes[WARM_UP]:.0f} to {sizes[-1]:.0f} MB, {threads[WARM_UP]} to {threads[-1]} threads"
    logging.getLogger(__name__).info(told)
    assert min(sizes[-3:]) <= MOST_GROWTH * max(sizes[WARM_UP : WARM_UP + 3]), sizes
    assert threads[-1] <= threads[WARM_UP] + 8, threads
