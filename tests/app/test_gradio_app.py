"""The app from outside: through gradio's client, and through a real browser where there is one."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emollm import catalog
from emollm.chat.backend import Progress, Reply
from emollm.chat.echo import EchoBackend
from emollm.errors import BackendError, EmollmError
from emollm.serving import panels
from emollm.serving.visits import Visits, private_folder
from emollm.values import Analysis, FaceReading, FaceTrack, Message, Sampling, Segment, Transcript, VoiceReading

pytestmark = pytest.mark.filterwarnings("ignore::Warning:gradio")
gradio = pytest.importorskip("gradio", reason="the extra 'app' is not installed")
client_of = pytest.importorskip("gradio_client").Client

SAMPLES = catalog.folder("instruct_data") / "samples"
JOY, SAD = SAMPLES / "sample_joy.mp4", SAMPLES / "sample_sad.mp4"
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
LABELS = ("neutral", "happiness")
HOSTILE = "<script>document.title='owned'</script> ![beacon](http://192.0.2.1/x.png) done."
PATIENCE_S = 60.0


class Seeing(EchoBackend):
    """An echo that also pretends to have measured; "slowly" makes a reply slow, "!!" and "??" make it fail,
    and a clip called slow... takes ten seconds to look at."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Message, ...]] = []
        self.paths: list[Path] = []

    def analyze(self, path: Path, progress: Progress | None = None) -> Analysis:
        self.paths.append(path)
        if path.name.startswith("slow") and progress is not None:
            for step in range(100):
                progress(step / 100, "finding faces")
                time.sleep(0.1)
        found = super().analyze(path, progress)
        if found.kind != "video":
            return found
        times = np.linspace(0, found.duration_s, 20)
        scores = np.tile([0.2, 0.8], (20, 1))
        track = FaceTrack(
            np.arange(20), times, np.ones((20, 4)), np.zeros((20, 468, 3)), np.zeros((20, 2, 3)), np.ones(20)
        )  # fmt: skip
        words = Transcript("en", (Segment(0.7, 2.2, "I did <b>not</b> expect this."),))
        voice = VoiceReading(((0.7, 2.2),), LABELS, np.array([0.4, 0.6]), float("nan"), 8.0, -20.0, ("wide range",))
        return replace(found, faces=(FaceReading(track, LABELS, scores, ("mouth corners raised",)),), voice=voice, words=words, missing={})

    def reply(self, messages: Any, sampling: Sampling) -> Reply:
        self.asked.append(tuple(messages))
        question = messages[-1].text

        def write(reply: Reply) -> Iterator[str]:
            if question.endswith("!!"):
                raise BackendError("the model is busy; ask again in a minute")
            if question.endswith("??"):
                raise ZeroDivisionError("secret detail")
            for piece in ["You asked: ", *question.split(), " ", *(HOSTILE.split(" ") if "hostile" in question else ["done."] * 40)]:
                if reply.cancelled:
                    reply.finish_reason = "cancelled"
                    return
                time.sleep(0.2 if "slowly" in question else 0.005)
                yield piece + " "
            reply.finish_reason = "stop"

        return Reply(write)


@dataclass(frozen=True)
class Running:
    """A started app."""

    address: str
    backend: Seeing
    folder: Path

    def clips(self) -> list[str]:
        """Names of all clips that lie on disk for the app now."""
        return sorted(p.name for p in self.folder.rglob("*") if p.is_file() and p.suffix in {".mp4", ".wav", ".webm"})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: Callable[[], Any], said: str) -> Any:
    """The first truthy answer, or a failure that says what did not happen."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    return pytest.fail(f"waited {PATIENCE_S:.0f} s, but {said}")


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    from emollm.serving import gradio_ui

    backend = Seeing()
    demo = gradio_ui.build_demo(backend, [JOY, SAD])
    address = gradio_ui.launch(demo, "127.0.0.1", free_port())
    yield Running(address, backend, Path(os.environ["GRADIO_TEMP_DIR"]))
    demo.close(verbose=False)


def texts(messages: list[dict[str, Any]]) -> list[str]:
    """What a chat shows; gradio gives each content as a list of parts."""
    return [m["content"] if isinstance(m["content"], str) else "".join(part["text"] for part in m["content"]) for m in messages]


def test_asking_streams_pieces_and_remembers(running: Running) -> None:
    client = client_of(running.address, verbose=False)
    job = client.submit("good morning", api_name="/ask")
    job.result(timeout=PATIENCE_S)
    views = [texts(out[0]) for out in job.outputs()]
    assert views[0] == ["good morning"]
    lengths = [len(view[-1]) for view in views if len(view) == 2]
    assert len(lengths) > 10 and lengths == sorted(lengths), "the answer grows piece by piece"
    assert views[-1][-1].startswith("You asked:  good morning")
    client.submit("and again", api_name="/ask").result(timeout=PATIENCE_S)
    assert [m.role for m in running.backend.asked[-1]] == ["user", "assistant", "user"]
    other = client_of(running.address, verbose=False)
    other.submit("hello", api_name="/ask").result(timeout=PATIENCE_S)
    assert [m.text for m in running.backend.asked[-1]] == ["hello"], "another session sees nothing of the first"


@pytest.mark.parametrize(("question", "said"), [("fail!!", "the model is busy"), ("crash??", "Something went wrong inside emollm")])
def test_a_failed_answer_is_a_line_and_keeps_the_history(running: Running, question: str, said: str) -> None:
    client = client_of(running.address, verbose=False)
    client.submit("first", api_name="/ask").result(timeout=PATIENCE_S)
    view, box, note, *_ = client.submit(question, api_name="/ask").result(timeout=PATIENCE_S)
    assert said in note and "Traceback" not in note and "secret" not in note
    assert box == question, "the question goes back into its box"
    assert len(view) == 2


def test_empty_and_endless_questions_never_reach_the_model(running: Running) -> None:
    client, before = client_of(running.address, verbose=False), len(running.backend.asked)
    assert "Write a question" in client.submit("  ", api_name="/ask").result(timeout=PATIENCE_S)[2]
    assert "5000 characters" in client.submit("x" * 5000, api_name="/ask").result(timeout=PATIENCE_S)[2]
    assert len(running.backend.asked) == before


def test_only_asking_is_offered_as_an_endpoint(running: Running) -> None:
    assert set(client_of(running.address, verbose=False).view_api(return_format="dict", print_info=False)["named_endpoints"]) == {"/ask"}


def test_pages_may_load_nothing_from_elsewhere(running: Running) -> None:
    import httpx

    answer = httpx.get(running.address)
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"https?://", answer.text)
    assert httpx.get(f"{running.address}/gradio_api/file=/etc/passwd").status_code == 403


def test_a_taken_port_is_said_with_the_way_out(running: Running) -> None:
    from emollm.serving import gradio_ui

    port = int(running.address.rpartition(":")[2])
    with pytest.raises(EmollmError, match=rf"port {port} .* already uses it\. Choose another one, e\.g\. emollm app --port {port + 1}"):
        gradio_ui.check_free("127.0.0.1", port)


def test_the_command_says_when_it_is_ready_and_leaves_nothing(tmp_path: Path) -> None:
    port = free_port()
    code = f"from pathlib import Path\nfrom emollm.commands.app import app\napp(port={port}, system='echo', clip=Path({str(JOY)!r}))"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"emollm is ready at http://127.0.0.1:{port}\n"
        assert list(tmp_path.glob("emollm-app-*"))
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0 and "Traceback" not in errors
    assert not list(tmp_path.glob("emollm-app-*")), "the folder with the clips goes with the process"


def test_a_wrong_clip_or_port_is_refused_before_anything_loads(running: Running) -> None:
    import typer
    from typer.testing import CliRunner

    from emollm.commands.app import app

    command = typer.Typer()
    command.command()(app)
    port = running.address.rpartition(":")[2]
    missing = CliRunner().invoke(command, ["--clip", "nowhere.mp4"]).exception
    taken = CliRunner().invoke(command, ["--port", port, "--system", "no-such-system"]).exception
    assert isinstance(missing, EmollmError) and "no clip at nowhere.mp4" in str(missing)
    assert isinstance(taken, EmollmError) and f"port {port}" in str(taken)


def test_left_overs_of_dead_processes_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive = tmp_path / f"emollm-app-{ended.pid}-x", tmp_path / f"emollm-app-{os.getpid()}-x"
    dead.mkdir()
    alive.mkdir()
    assert private_folder().stat().st_mode & 0o077 == 0
    assert alive.exists() and not dead.exists()


def test_a_visit_offers_accepts_refuses_and_forgets(tmp_path: Path) -> None:
    visits = Visits(tmp_path / "private")
    (tmp_path / "private").mkdir()
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"x")
    visit = visits.of("a")
    visit.turns = [Message("user", "before"), Message("assistant", "yes")]
    visit.offer(source, keep=True)
    visit.accept()
    first = visit.clip
    assert first is not None and source.exists()
    assert visit.messages("now") == [Message("user", "now", (first,))], "what came before the clip is not about it"
    visit.offer(source, keep=False)
    visit.refuse()
    assert visit.clip == first and first.exists() and not source.exists()
    with pytest.raises(EmollmError, match=r"clip\.mp4 could not be taken in"):
        visit.offer(source, keep=False)
    visits.end("a")
    assert not list((tmp_path / "private").iterdir())
    assert visits.came_back("a") and not visits.came_back("a")


def test_everything_from_a_clip_is_escaped() -> None:
    bad = '<img src=x onerror="alert(1)">'
    found = {
        "face": {"present": True, "label": bad, "scores": {bad: 0.5}, "cues": [bad]},
        "voice": {"present": False, "reason": bad},
        "words": {"present": True, "language": bad, "text": bad},
    }
    row = {"start_s": 0.0, "end_s": 1.0, "modality": "words", "text": bad}
    pages = [
        panels.evidence(found, [bad]),
        panels.timeline([row], 2.0),
        panels.transcript({"language": bad, "segments": [row]}),
        panels.note(bad),
        panels.chat_text(bad),
        panels.player(Path(f"/tmp/{bad}.mp4"), "video"),
    ]
    for page in pages:
        seen: list[tuple[str, list[tuple[str, str | None]]]] = []
        parser = HTMLParser()
        parser.handle_starttag = lambda tag, attrs, seen=seen: seen.append((tag, attrs))  # type: ignore[method-assign]
        parser.feed(page)
        assert all(tag != "img" and "onerror" not in dict(attributes) for tag, attributes in seen)
    assert "Not used: " in pages[0]
    assert "![" not in panels.chat_text("![x](http://192.0.2.1)")


@pytest.mark.parametrize(
    ("seconds", "tenths", "shown"), [(0, True, "0:00.0"), (3.44, True, "0:03.4"), (59.96, True, "1:00.0"), (59.6, False, "1:00")]
)
def test_clock(seconds: float, tenths: bool, shown: str) -> None:
    assert panels.clock(seconds, tenths=tenths) == shown


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    if not CHROMIUM.exists() or not DRIVER.exists():
        pytest.skip("no /usr/bin/chromium with /usr/bin/chromedriver; install with: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    quiet = "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
    fake = "--use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
    for flag in (
        "--headless=new",
        "--no-sandbox",
        *quiet.split(),
        *fake.split(),
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1280,800",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


class Page:
    """The page as a visitor meets it."""

    def __init__(self, driver: Any, running: Running) -> None:
        self.driver = driver
        driver.get(running.address)
        for part in ("#emollm-upload input[type=file]", "#emollm-question textarea", "#emollm-send", "#emollm-delete"):
            wait_for(lambda part=part: self.all(part), f"the page did not show {part}")

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def text(self, selector: str = "body") -> str:
        """Read in the page, in one step: gradio replaces elements while it streams."""
        return str(self.driver.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def upload(self, path: Path) -> None:
        self.all("#emollm-upload input[type=file]")[0].send_keys(str(path))

    def ask(self, question: str) -> None:
        self.all("#emollm-question textarea")[0].send_keys(question)
        self.press("emollm-send")

    def press(self, name: str) -> None:
        button = wait_for(lambda: [b for b in self.all(f"#{name}") if b.is_enabled()], f"{name} could not be pressed")[0]
        self.driver.execute_script("arguments[0].click()", button)


def test_in_a_browser(browser: Any, running: Running, tmp_path: Path) -> None:
    page = Page(browser, running)
    assert "not a diagnosis" in page.text() and "Art. 5(1)(f)" in page.text()

    page.upload(JOY)
    wait_for(lambda: "mouth corners raised" in page.text("#emollm-evidence"), "the evidence did not appear")
    assert "I did <b>not</b> expect this." in page.text("#emollm-transcript")
    seconds = wait_for(lambda: browser.execute_script("return document.querySelector('video.em-player').duration"), "no video was played")
    assert seconds == pytest.approx(8.2, abs=0.3)
    browser.execute_script("document.querySelector('.em-transcript [data-seek]').click()")
    wait_for(lambda: browser.execute_script("return document.querySelector('video').currentTime") >= 0.7, "the player did not jump")

    looked = len(running.backend.paths)
    page.ask("hostile question")
    wait_for(lambda: "192.0.2.1" in page.text("#emollm-chat"), "no answer came")
    assert "<script>" in page.text("#emollm-chat") and browser.title == "emollm"
    assert not page.all("#emollm-chat img[src*='192.0.2.1']")
    assert running.backend.asked[-1][0].clips and len(running.backend.paths) == looked, "a question does not look at the clip again"

    bad = tmp_path / "holiday.mp4"
    bad.write_text("<html>not a clip</html>")
    page.upload(bad)
    wait_for(lambda: "holiday.mp4 cannot be read" in page.text("#emollm-clip-note"), "the bad file was not refused in words")
    assert "mouth corners raised" in page.text("#emollm-evidence"), "the clip that was open stays"
    assert running.clips() == ["sample_joy.mp4"]

    page.ask("slowly please")
    wait_for(lambda: "You asked:" in page.text("#emollm-chat .bot:last-of-type, #emollm-chat"), "no slow answer came")
    page.press("emollm-stop")
    wait_for(lambda: "Stopped." in page.text("#emollm-note"), "stop did not stop")

    page.press("emollm-delete")
    wait_for(lambda: "Deleted" in page.text("#emollm-clip-note"), "delete said nothing")
    assert "hostile question" not in page.text("#emollm-chat") and not page.all("video.em-player")
    assert running.clips() == []
    page.ask("still there?")
    wait_for(lambda: "You asked: still there?" in re.sub(r"\s+", " ", page.text("#emollm-chat")), "the chat did not go on without a clip")
    assert running.backend.asked[-1] == (Message("user", "still there?"),)

    assert "Traceback" not in page.text() and "Error" not in page.text()
    assert outside(browser, running.address) == []
    assert not [e for e in browser.get_log("browser") if "Content Security Policy" in e["message"]]


def test_closing_the_page_deletes_the_clip(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.upload(SAD)
    wait_for(lambda: page.all("video.em-player"), "the clip did not open")
    assert running.clips() == ["sample_sad.mp4"]
    browser.get("about:blank")
    wait_for(lambda: running.clips() == [], "the clip stayed on disk")


def test_looking_can_be_stopped_and_leaves_nothing(browser: Any, running: Running, tmp_path: Path) -> None:
    page = Page(browser, running)
    slow = tmp_path / "slow.mp4"
    slow.write_bytes(SAD.read_bytes())
    page.upload(slow)
    wait_for(lambda: "finding faces" in page.text("#emollm-evidence"), "no progress was shown")
    page.press("emollm-stop")
    wait_for(lambda: "Stopped; the clip was not opened." in page.text("#emollm-clip-note"), "stop did not stop")
    assert running.clips() == []


def test_the_kind_is_found_in_the_content(browser: Any, running: Running, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    picture = tmp_path / "picture.mp4"
    picture.write_bytes(cv2.imencode(".png", np.full((40, 60, 3), 128, np.uint8))[1].tobytes())
    page = Page(browser, running)
    page.upload(picture)
    wait_for(lambda: page.all("img.em-player"), "the picture was not shown as one")
    width = wait_for(lambda: browser.execute_script("return document.querySelector('img.em-player').naturalWidth"), "it did not load")
    assert width == 60 and not page.all(".em-timeline") and "Not used: " in page.text("#emollm-evidence")


def test_recording_needs_consent_and_keeps_one_file(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    browser.execute_script("document.querySelector('#emollm-record button').click()")
    assert not [b for b in page.all("#emollm-microphone button") if b.is_displayed()]
    wait_for(lambda: page.all("#emollm-consent input"), "nobody asked for consent")[0].click()
    tabs = wait_for(lambda: [b for b in page.all("button[role=tab]") if "Microphone" in b.text], "no microphone was offered")
    tabs[0].click()
    wait_for(lambda: [b for b in page.all("#emollm-microphone .record-button") if b.is_displayed()], "no record button came")[0].click()
    stop = wait_for(lambda: [b for b in page.all("#emollm-microphone .stop-button") if b.is_displayed()], "recording did not start")
    time.sleep(1.0)
    stop[0].click()
    wait_for(lambda: page.all("audio.em-player"), "the recording did not open")
    assert len(running.clips()) == 1
    page.press("emollm-delete")
    wait_for(lambda: running.clips() == [], "the recording stayed on disk")


def test_delete_while_an_answer_is_written(browser: Any, running: Running) -> None:
    page = Page(browser, running)
    page.ask("slowly now")
    wait_for(lambda: "You asked:" in page.text("#emollm-chat"), "no answer came")
    page.press("emollm-delete")
    wait_for(lambda: "Deleted" in page.text("#emollm-clip-note"), "delete said nothing")
    time.sleep(1.0)  # long enough for a late piece to arrive
    assert "slowly" not in page.text("#emollm-chat")
    page.ask("next")
    wait_for(lambda: "You asked: next" in re.sub(r"\s+", " ", page.text("#emollm-chat")), "the model's place was not free again")
    assert running.backend.asked[-1] == (Message("user", "next"),)


def test_on_a_phone_nothing_sticks_out(browser: Any, running: Running) -> None:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True})
    page = Page(browser, running)
    wait_for(lambda: page.all("#emollm-examples button"), "no examples were offered")
    browser.execute_script("document.querySelector('#emollm-examples button').click()")
    wait_for(lambda: page.all(".em-stretch"), "the timeline did not appear")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400


def outside(browser: Any, address: str) -> list[str]:
    """Requests the page made to any other host."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [url for url in asked if url.startswith("http") and not url.startswith(address)]
