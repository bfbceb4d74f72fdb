"""The desk's events by themselves, in an order that a browser seldom keeps to."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from acting import Acting
from app_places import SAMPLES

JOY = SAMPLES / "sample_joy.mp4"


def test_a_clip_that_opens_under_an_answer_leaves_the_conversation_to_it(tmp_path: Path) -> None:
    """On a slow machine the answer was never drawn: another event had written the conversation between two of its pieces."""
    gr = pytest.importorskip("gradio", reason="the extra 'app' is not installed")
    from emollm.app.desk import Desk
    from emollm.app.page import Page
    from emollm.app.standby import Standby
    from emollm.app.visits import Visits

    backend = Acting()
    desk = Desk(Standby.around(backend), Visits(tmp_path))
    with gr.Blocks():
        desk.page = page = Page(desk, [], None, local=True)
    request: Any = SimpleNamespace(session_hash="one", query_params={}, headers={})
    backend.gate.set()

    def chats(shown: list[dict[Any, Any]]) -> list[Any]:
        return [one[page.chat] for one in shown if isinstance(one.get(page.chat), list)]

    desk.taker(JOY)(request)
    asking = desk.ask("what is it?", "usual", 0.0, None, request)
    assert chats([next(asking)])[0][0]["content"] == "what is it?"
    looked = list(desk.look(request))
    assert "sample_joy.mp4" in looked[-1][page.tray], "the clip is shown"
    assert chats(looked) == [], "but the conversation belongs to the answer"
    answer = chats(list(asking))[-1]
    assert answer[0]["content"] == "what is it?" and answer[-1]["content"].startswith("You asked: what is it?")
    desk.taker(JOY)(request)
    assert len(chats(list(desk.look(request)))[-1]) == len(answer), "afterwards a clip brings the conversation up to date, as before"
