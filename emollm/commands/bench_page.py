"""How soon the page is there, and how soon it says the first word about a clip, in a real browser and beside the command line."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emollm.errors import EmollmError

PATIENCE_S = 600.0
BROWSERS, DRIVERS = ("chromium", "chromium-browser", "google-chrome"), ("chromedriver",)
# The page notes the moment itself: whenever something on it changes, a further answer (not the folded "what I looked at") is looked for.
_WATCH = """
window.emollmSaid = null;
window.emollmWatch?.disconnect();
const look = () => {
  const all = [...document.querySelectorAll('#emollm-chat [data-testid=bot]')].filter((one) => !one.querySelector('.thought-group'));
  const said = all.at(-1)?.innerText.trim() ?? "";
  if (window.emollmSaid === null && all.length > arguments[0] && said && said !== "…") window.emollmSaid = performance.now();
};
window.emollmWatch = new MutationObserver(look);
window.emollmWatch.observe(document.body, {childList: true, subtree: true, characterData: true});
"""
_ANSWERS = """
return [...document.querySelectorAll('#emollm-chat [data-testid=bot]')].filter((one) => !one.querySelector('.thought-group')).length
"""


def measure_page(clip: Path, questions: tuple[str, str], options: list[str]) -> dict[str, float]:
    """Starts `emollm app`, opens it in headless Chromium, hands a clip over and asks about it at once. Seconds.

    Args:
        clip: What is uploaded.
        questions: The first is written before the clip is handed over and sent as soon as the page says that it looks at it, the
            second once the first is answered.
        options: Of `emollm app` (`--system emollm`, ...).

    Returns:
        `first_paint` from the start of the command to something on the screen, `page_usable` until a clip can be handed over,
        `model_ready` until the model is loaded; then `first_token` from the hand-over of the clip to the first word of the answer,
        `full_answer` to its last, and `second_question_first_token` from the press of the button.

    Raises:
        EmollmError: No selenium, no Chromium, or something did not come in ten minutes.
    """
    with _browser() as driver, _app(options) as (address, began):
        figures = {"first_paint": _painted(driver, address, began)}
        _until(lambda: driver.find_elements("css selector", "#emollm-upload input[type=file]"), "a place for clips")
        figures["page_usable"] = time.perf_counter() - began
        _until(lambda: "Ready" in _text(driver, "#emollm-status"), "the model")
        figures["model_ready"] = time.perf_counter() - began
        driver.execute_script(_WATCH, 0)
        _write(driver, questions[0])
        handed = _now(driver)
        driver.find_elements("css selector", "#emollm-upload input[type=file]")[0].send_keys(str(clip))
        _until(lambda: _text(driver, "#emollm-looking"), "the clip to be taken in", 0.01)
        _send(driver)
        figures["first_token"] = _said(driver) - handed
        _until(lambda: _shown(driver, "#emollm-send"), "the end of the answer")
        figures["full_answer"] = _now(driver) - handed
        driver.execute_script(_WATCH, int(driver.execute_script(_ANSWERS)))
        _write(driver, questions[1])
        asked = _send(driver)
        figures["second_question_first_token"] = _said(driver) - asked
        return figures


@contextmanager
def _app(options: list[str]) -> Iterator[tuple[str, float]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "emollm", "app", "--port", str(port), *options]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}", began
    finally:
        process.terminate()
        process.wait(timeout=60)


def found_browser() -> tuple[str, str] | None:
    """Paths of Chromium and of its driver; None without both."""
    browser, driver = (next(filter(None, map(shutil.which, names)), None) for names in (BROWSERS, DRIVERS))
    return (browser, driver) if browser is not None and driver is not None else None


@contextmanager
def _browser() -> Iterator[Any]:
    try:
        from selenium import webdriver
    except ModuleNotFoundError:
        raise EmollmError("`emollm bench --page` drives a browser with selenium: pip install selenium") from None
    if (found := found_browser()) is None:
        raise EmollmError("`emollm bench --page` needs chromium and chromedriver (apt-get install chromium chromium-driver).")
    browser, driver = found
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    with tempfile.TemporaryDirectory() as profile:
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        try:
            yield chrome
        finally:
            chrome.quit()


def _painted(driver: Any, address: str, began: float) -> float:
    """Opens the address again and again until something is drawn; seconds since the command was started."""
    from selenium.common.exceptions import WebDriverException

    def opened() -> bool:
        try:
            driver.get(address)
        except WebDriverException:  # nobody listens yet
            return False
        return bool(driver.execute_script("return performance.getEntriesByName('first-contentful-paint').length"))

    _until(opened, "the page", 0.02)
    return time.perf_counter() - began


def _until(what: Callable[[], Any], named: str, every_s: float = 0.2) -> None:
    end = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > end:
            raise EmollmError(f"`emollm bench --page` waited {PATIENCE_S:.0f} s for {named}.")
        time.sleep(every_s)


def _write(driver: Any, question: str) -> None:
    driver.find_elements("css selector", "#emollm-question textarea")[0].send_keys(question)


def _send(driver: Any) -> float:
    asked = _now(driver)
    driver.execute_script("document.querySelector('#emollm-send').click()")
    return asked


def _now(driver: Any) -> float:
    return float(driver.execute_script("return performance.now()")) / 1000


def _said(driver: Any) -> float:
    """The moment, by the page's clock, at which an answer had its first word."""
    _until(lambda: driver.execute_script("return window.emollmSaid") is not None, "an answer")
    return float(driver.execute_script("return window.emollmSaid")) / 1000


def _text(driver: Any, selector: str) -> str:
    return str(driver.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector))


def _shown(driver: Any, selector: str) -> bool:
    return bool(driver.execute_script("return document.querySelector(arguments[0])?.offsetParent != null", selector))
