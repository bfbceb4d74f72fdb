"""Looks: phone and desktop, light and dark, without anything sticking out and without findings of an accessibility checker.

The same tests write the pictures of docs/ if EMOLLM_SCREENSHOTS names a folder.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acting import Running, wait_for
from app_places import SAMPLES, view
from pages import Page
from PIL import Image

JOY, SAD = SAMPLES / "sample_joy.mp4", SAMPLES / "sample_sad.mp4"
AXE = "axe-core@4.10.3"
RULES = "wcag2a, wcag2aa, wcag21a, wcag21aa"
GRAVE = ("serious", "critical")
SIZES = [("desktop", 1280, 900, False), ("desktop-dark", 1280, 900, True), ("phone", 390, 844, False), ("phone-dark", 390, 844, True)]


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The checker's script, fetched once into the user's cache; its licence (MPL-2.0) is not ours, so it is not in the repository."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "emollm-tests"
    script = cache / f"{AXE.replace('@', '-')}.min.js"
    if not script.is_file():
        if shutil.which("npm") is None:
            pytest.skip(f"no npm to fetch {AXE} with")
        folder = tmp_path_factory.mktemp("axe")
        packed = subprocess.run(["npm", "pack", AXE], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        archive = next(folder.glob("*.tgz"), None)
        if packed.returncode or archive is None:
            pytest.skip(f"{AXE} could not be fetched: {packed.stderr.strip()[-200:]}")
        cache.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as tar:
            member = tar.extractfile("package/axe.min.js")
            assert member is not None
            script.write_bytes(member.read())
    yield script.read_text("utf-8")


def findings(browser: Any, axe: str) -> list[str]:
    """Grave findings, each with its first place."""
    browser.execute_script(axe)
    run = "const done = arguments[1]; axe.run(document, {runOnly: arguments[0].split(', ')}).then(r => done(r.violations))"
    found = browser.execute_async_script(run, RULES)
    return [f"{one['id']}: {one['nodes'][0]['html'][:160]} ({len(one['nodes'])})" for one in found if one["impact"] in GRAVE]


def picture(browser: Any, name: str) -> None:
    folder = os.environ.get("EMOLLM_SCREENSHOTS")
    if folder:
        seen = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
        seen.quantize(160, dither=Image.Dither.NONE).save(Path(folder) / f"{name}.png", optimize=True)  # half as large, and looks the same


@pytest.mark.parametrize(("name", "width", "height", "dark"), SIZES)
def test_every_size_and_shade(browser: Any, running: Running, axe: str, name: str, width: int, height: int, dark: bool) -> None:
    view(browser, width, height, dark=dark)
    page = Page(browser, running)
    assert page.js("return document.body.classList.contains('dark')") == dark, "the page follows the system's shade"
    assert findings(browser, axe) == []
    page.open(JOY)
    page.press(".em-suggestion")
    page.answered("Done.")
    page.js("document.querySelector('video.em-media').currentTime = 3.4")
    wait_for(lambda: page.js("return document.querySelector('.em-box text')?.textContent") == "happy", "the box did not follow")
    picture(browser, name)
    assert findings(browser, axe) == []
    wide = page.js("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= width and wide[1] == width, "something sticks out sideways"
    small = page.js(
        "return [...document.querySelectorAll('.em-clip button, .em-look button, .em-tray button, .em-choices button')]"
        ".filter(b => b.offsetParent && (b.offsetHeight < 24 || b.offsetWidth < 24)).map(b => b.outerHTML.slice(0, 80))"
    )
    assert small == [], "buttons that a finger would miss"


def test_other_tabs_have_no_grave_findings(browser: Any, running: Running, axe: str) -> None:
    page = Page(browser, running)
    for place, sign in ((1, "#emollm-systems table"), (2, "#emollm-result"), (3, ".em-about")):
        page.tab(place)
        wait_for(lambda sign=sign: [e for e in page.all(sign) if e.is_displayed()], f"{sign} did not show")
        assert findings(browser, axe) == [], sign
        picture(browser, f"tab-{place}")
    page.tab(1)
    wait_for(lambda: "6.19 M" in page.text("#emollm-systems") or "-" in page.text("#emollm-systems"), "sizes were not counted")


def test_the_shade_can_be_chosen_and_is_remembered(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.press(".em-theme")
    assert page.js("return document.body.classList.contains('dark')")
    Page(browser, running)
    assert page.js("return document.body.classList.contains('dark')")


def test_nothing_jumps_while_a_clip_is_looked_at(browser: Any, running: Running, tmp_path: Path) -> None:
    slow = tmp_path / "slow.mp4"
    slow.write_bytes(SAD.read_bytes())
    page = Page(browser, running)
    page.open(JOY)
    where = (
        "return document.querySelector('#emollm-chat').getBoundingClientRect().top + ' ' + document.querySelector('#emollm-ask').offsetTop"
    )
    before = page.js(where)
    page.upload(slow)
    page.shows("#emollm-looking", "Faces")
    assert page.js(where) == before, "the conversation moved"
    running.backend.gate.set()
    wait_for(lambda: len(page.all(".em-tray li")) == 2, "the clip did not open")
    assert page.js(where) == before, "the conversation moved"
