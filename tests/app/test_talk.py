"""Talk: load clips, ask, stop, ask again, several clips in one conversation; in a real browser and through gradio's client."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from acting import PATIENCE_S, Running, wait_for
from app_places import SAMPLES
from pages import Page, outside

JOY, SAD = SAMPLES / "sample_joy.mp4", SAMPLES / "sample_sad.mp4"


def texts(messages: list[dict[str, Any]]) -> list[str]:
    """What a chat shows; gradio gives each content as a list of parts."""
    return [m["content"] if isinstance(m["content"], str) else "".join(part["text"] for part in m["content"]) for m in messages]


def asking(running: Running) -> Any:
    client = pytest.importorskip("gradio_client").Client(running.address, verbose=False)

    def ask(question: str) -> Any:
        job = client.submit(question, "usual", 0.0, None, api_name="/ask")
        job.result(timeout=PATIENCE_S)
        return job.outputs()

    return ask


def test_asking_streams_pieces_and_remembers(running: Running) -> None:
    ask = asking(running)

    def open_later() -> None:  # two seconds of the answer itself, however long it took to begin; a piece comes every twentieth of a second
        wait_for(lambda: running.backend.asked, "the question did not come")
        threading.Timer(2.0, running.backend.gate.set).start()

    threading.Thread(target=open_later, daemon=True).start()
    seen = [texts(out[0]) for out in ask("good morning slowly")]
    assert seen[0][0] == "good morning slowly"
    lengths = [len(view[-1]) for view in seen if len(view) == 2]
    assert 4 < len(set(lengths)) < 30 and lengths[1:] == sorted(lengths[1:]), "the answer grows piece by piece"
    assert seen[-1][-1].startswith("You asked: good morning slowly")
    ask("and again")
    assert [m.role for m in running.backend.asked[-1]] == ["user", "assistant", "user"]
    asking(running)("hello")
    assert [m.text for m in running.backend.asked[-1]] == ["hello"], "another session sees nothing of the first"


@pytest.mark.parametrize(("question", "said"), [("fail!!", "the model is busy"), ("crash??", "Something went wrong inside emollm")])
def test_a_failed_answer_is_a_line_and_keeps_the_history(running: Running, question: str, said: str) -> None:
    ask = asking(running)
    ask("first")
    view, box, note, *_ = ask(question)[-1]
    assert said in note and "Traceback" not in note and "secret" not in note
    assert box == question, "the question goes back into its box"
    assert len(view) == 2


def test_empty_and_endless_questions_never_reach_the_model(running: Running) -> None:
    ask = asking(running)
    assert "Write a question" in ask("  ")[-1][2]
    assert "4500 characters" in ask("x" * 4500)[-1][2]
    assert running.backend.asked == []


def test_only_asking_is_offered_as_an_endpoint(running: Running) -> None:
    client = pytest.importorskip("gradio_client").Client(running.address, verbose=False)
    assert set(client.view_api(return_format="dict", print_info=False)["named_endpoints"]) == {"/ask"}


def test_a_clip_is_asked_about_and_its_times_lead_to_the_player(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.open(JOY)
    decoded = running.backend.decodes
    page.ask("hostile question")
    page.answered("192.0.2.1")
    assert "<script>" in page.text("#emollm-chat") and browser.title == "emollm"
    assert not page.all("#emollm-chat img[src*='192.0.2.1']")
    page.ask("when?")
    page.answered("It begins at 3.0 seconds")
    assert [len(m.clips) for m in running.backend.asked[-1]] == [1, 0, 0], "the clip hangs on the first message about it"
    assert running.backend.decodes == decoded, "a question does not look at the clip again"
    page.press("#emollm-chat a[href*='#t=3.00']")
    wait_for(lambda: abs(page.js("return document.querySelector('video').currentTime") - 3) < 0.2, "the link did not lead to its moment")
    assert outside(browser, running.address) == []
    assert not [e for e in browser.get_log("browser") if "Content Security Policy" in e["message"]]


def test_the_fold_before_an_answer_says_what_was_looked_at(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.open(JOY)
    page.press(".em-suggestion")
    page.answered("You asked: How does this person feel")
    fold = page.all("#emollm-chat .thought-group [role=button]")[0]
    assert "mouth corners raised" not in page.text("#emollm-chat"), "it is folded away"
    page.js("arguments[0].click()", fold)
    page.shows("#emollm-chat", "mouth corners raised")


def test_suggestions_fit_the_clip(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    assert "I had a hard day." in page.text("#emollm-suggestions")
    page.open(JOY)
    page.shows("#emollm-suggestions", "What happens at about 3.0 seconds?")
    page.shows("#emollm-suggestions", "Why do face and voice tell different things?")


def test_stop_again_and_new_conversation(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.ask("slowly please")
    page.shows("#emollm-chat", "You asked:")
    page.press("#emollm-stop")
    page.shows("#emollm-note", "Stopped.")
    running.backend.gate.set()
    asked = len(running.backend.asked)
    page.press("#emollm-chat button[aria-label='Retry']")
    wait_for(lambda: len(running.backend.asked) == asked + 1, "it was not asked again")
    assert running.backend.asked[-1][-1].text == "slowly please"
    page.answered("Done.")
    page.press("#emollm-clear")
    wait_for(lambda: "slowly" not in page.text("#emollm-chat"), "the old conversation stayed")
    page.ask("next")
    page.answered("You asked: next")
    assert [m.text for m in running.backend.asked[-1]] == ["next"]


def test_a_question_can_be_edited(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.ask("first words")
    page.answered("You asked: first words")
    page.press("#emollm-chat button[aria-label='Edit']")
    area = wait_for(lambda: page.all("#emollm-chat textarea"), "no field to edit in came")[0]
    area.clear()
    area.send_keys("other words")
    page.press("#emollm-chat button[aria-label='Submit']")
    page.answered("You asked: other words")
    assert "first words" not in page.text("#emollm-chat")
    assert [m.text for m in running.backend.asked[-1]] == ["other words"]


def test_several_clips_in_one_conversation(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.open(JOY)
    page.ask("one")
    page.answered("You asked: one")
    page.open(SAD)
    page.ask("two")
    page.answered("You asked: two")
    assert [m.text for m in running.backend.asked[-1]] == ["two"], "what was said about another clip is not put beside this one"
    assert [p.name for m in running.backend.asked[-1] for p in m.clips] == ["sample_sad.mp4"]
    assert "about clip 2" in page.text("#emollm-chat")
    page.press(".em-chip", 0)
    wait_for(lambda: page.js("return document.querySelector('.em-chip').ariaPressed") == "true", "the first clip was not chosen")
    page.ask("three")
    page.answered("You asked: three")
    assert [m.text for m in running.backend.asked[-1]][0::2] == ["one", "three"]
    page.press(".em-compare")
    wait_for(lambda: len(page.all(".em-clip")) == 2, "the clips did not stand side by side")
    page.ask("both")
    page.answered("Clip 2:")
    assert [m[-1].text for m in running.backend.asked[-2:]] == ["both", "both"], "each clip is asked about by itself"
    page.press(".em-cross", 0)
    wait_for(lambda: len(page.all(".em-tray li")) == 1 and running.clips() == ["sample_sad.mp4"], "the clip did not go")
    assert running.backend.forgotten == ["sample_joy.mp4"]


def test_a_question_waits_for_the_clip(browser: Any, running: Running, tmp_path: Path) -> None:
    slow = tmp_path / "slow.mp4"
    slow.write_bytes(SAD.read_bytes())
    page = Page(browser, running)
    page.upload(slow)
    page.shows("#emollm-looking", "Faces")
    page.ask("what is it?")
    page.shows("#emollm-chat", "Thinking")
    assert running.backend.asked == []
    running.backend.gate.set()
    page.answered("You asked: what is it?")
    assert [p.name for p in running.backend.asked[-1][0].clips] == ["slow.mp4"]


def test_progress_by_stage_can_be_stopped_and_leaves_nothing(browser: Any, running: Running, tmp_path: Path) -> None:
    slow = tmp_path / "slow.mp4"
    slow.write_bytes(SAD.read_bytes())
    page = Page(browser, running)
    page.upload(slow)
    wait_for(lambda: page.text(".em-doing") == "Faces", "the stage was not told")
    page.press(".em-halt")
    page.shows("#emollm-clip-note", "Stopped; the clip was not opened.")
    wait_for(lambda: running.clips() == [], "the clip stayed on disk")


def test_settings_come_with_the_link(browser: Any, running: Running) -> None:
    page = Page(browser, running, "?length=short&variety=0.5&lang=en")
    page.js("document.querySelector('#emollm-settings button').click()")  # what is folded away is not in the page
    wait_for(lambda: page.js("return document.querySelector('#emollm-length input:checked')?.value") == "short", "the length was not set")
    page.press("#emollm-link")
    wait_for(lambda: re.search(r"length=short&variety=0\.5", page.text("#emollm-link-note")), "no link with the settings was given")
