"""The page as a visitor meets it in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from acting import Running, wait_for


class Page:
    """Opens the app and waits until it can be used."""

    def __init__(self, driver: Any, running: Running, query: str = "") -> None:
        self.driver = driver
        driver.get(f"{running.address}/{query}")
        wait_for(lambda: self.all("#emollm-upload input[type=file]"), "the page did not show a place for clips")
        wait_for(lambda: self.text("#emollm-status"), "the page did not say how the model is doing")
        wait_for(lambda: [b for b in self.all(".em-suggestion") if b.is_displayed()], "no questions were suggested")

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def js(self, code: str, *given: Any) -> Any:
        return self.driver.execute_script(code, *given)

    def text(self, selector: str = "body") -> str:
        """Read in the page, in one step: gradio replaces elements while it streams."""
        return str(self.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector)).strip()

    def shows(self, selector: str, text: str) -> None:
        wait_for(
            lambda: text in re.sub(r"\s+", " ", self.text(selector)), f"{selector} did not say {text!r}: {self.text(selector)[:300]!r}"
        )

    def upload(self, *paths: Path) -> None:
        self.all("#emollm-upload input[type=file]")[0].send_keys("\n".join(str(p) for p in paths))

    def open(self, *paths: Path) -> None:
        """Load clips and wait until they are measured."""
        there = len(self.all(".em-tray li"))
        self.upload(*paths)
        wait_for(lambda: len(self.all(".em-tray li")) == there + len(paths), f"the clips did not open: {self.text('#emollm-clip-note')!r}")
        wait_for(lambda: not self.all(".em-looking"), "the progress did not go")

    def ask(self, question: str) -> None:
        self.all("#emollm-question textarea")[0].send_keys(question)
        self.press("#emollm-send")

    def answered(self, text: str) -> None:
        self.shows("#emollm-chat", text)
        wait_for(lambda: self.js("return document.querySelector('#emollm-send')?.offsetParent != null"), "the answer did not end")

    def press(self, selector: str, place: int = 0) -> None:
        def found() -> list[Any]:
            return [b for b in self.all(selector) if b.is_enabled()]

        wait_for(lambda: len(found()) > place, f"{selector} could not be pressed")
        self.js("arguments[0].click()", found()[place])

    def tab(self, place: int) -> None:
        self.press("#emollm-tabs > .tab-wrapper button[role=tab]", place)

    def kept(self) -> list[Any]:
        """Conversations that the browser keeps."""
        return list(json.loads(self.js("return localStorage.getItem('emollm-conversations') ?? '[]'")))


def outside(browser: Any, address: str) -> list[str]:
    """Requests the page made to any other host."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [url for url in asked if url.startswith("http") and not url.startswith(address)]
