"""RemoteBackend against our own server and against one that is not ours."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from servers import served

from emollm.chat.echo import EchoBackend
from emollm.chat.remote import RemoteBackend
from emollm.errors import BackendError, MediaError
from emollm.values import Message, Sampling


@pytest.fixture
def pair():
    backend = EchoBackend()
    with served(backend, api_key="k") as url:
        remote = RemoteBackend(url, api_key="k")
        yield backend, remote
        remote.close()


def test_it_is_the_system_it_speaks_to(pair, clips_folder):
    backend, remote = pair
    assert (remote.system, remote.scale) == ("echo", "toy")
    messages = [Message("system", "Be kind."), Message("user", "Look: 👩‍👩‍👧", (clips_folder / "video.mp4", clips_folder / "sound.wav"))]
    here, there = EchoBackend().reply(messages, Sampling()), remote.reply(messages, Sampling())
    assert there.text() == here.text()
    assert (there.usage, there.finish_reason) == (here.usage, "stop")
    labels = ["happy", "look: it"]
    assert remote.score(messages, labels) == pytest.approx(backend.score(messages, labels))


@pytest.mark.parametrize("name", ["video.mp4", "silent.mp4", "sound.wav", "picture.png"])
def test_analyze_sends_a_clip_once(pair, clips_folder, name):
    backend, remote = pair
    here, there = EchoBackend().analyze(clips_folder / name), remote.analyze(clips_folder / name)
    assert (there.name, there.kind, there.digest, there.missing) == (name, here.kind, here.digest, here.missing)
    assert there.duration_s == pytest.approx(here.duration_s)
    remote.analyze(clips_folder / name)
    assert backend.decodes == 1


def test_stop_strings_length_and_cancel(pair):
    _, remote = pair
    asked = [Message("user", "hello")]
    assert remote.reply(asked, Sampling(stop=("none",))).text() == "Turn 1. Clips: "
    short = remote.reply(asked, Sampling(max_new_tokens=2))
    assert (short.text(), short.finish_reason) == ("Turn 1.", "length")
    left = remote.reply(asked, Sampling())
    pieces = iter(left)
    next(pieces)
    left.cancel()
    assert list(pieces) == [] and left.finish_reason == "cancelled"


def test_penalties_arrive():
    heard = []

    class Listening(EchoBackend):
        def reply(self, messages, sampling):
            heard.append(sampling)
            return super().reply(messages, sampling)

    with served(Listening()) as url:
        remote = RemoteBackend(url)
        remote.reply([Message("user", "hello")], Sampling(repetition_penalty=1.3, sentence_penalty=2.5)).text()
        remote.close()
    assert (heard[0].repetition_penalty, heard[0].sentence_penalty) == (1.3, 2.5)


def test_faults_come_back_as_ours(pair, tmp_path):
    _, remote = pair
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    with pytest.raises(MediaError, match="cannot be read") as caught:
        remote.reply([Message("user", "x", (tmp_path / "bad.mp4",))], Sampling()).text()
    assert caught.value.code == "media_unreadable"
    with pytest.raises(MediaError, match="no file"):
        remote.analyze(tmp_path / "nowhere.mp4")
    with pytest.raises(BackendError, match="labels"):
        remote.score([Message("user", "x")], [])


def test_wrong_key_unknown_model_and_nobody_there(pair):
    _, remote = pair
    with pytest.raises(BackendError, match="API key is wrong"):
        assert RemoteBackend(remote._url, api_key="other").system
    with pytest.raises(BackendError, match="it lists: echo-toy"):
        assert RemoteBackend(remote._url, model="gpt-9", api_key="k").system
    with pytest.raises(BackendError, match="Is the server running"):
        assert RemoteBackend("http://127.0.0.1:9/v1").system


class Foreign(BaseHTTPRequestHandler):
    """An endpoint that is not ours: it lists a model, streams two words and breaks off or fails when asked to."""

    def _send(self, body, kind="application/json"):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self._send(json.dumps({"object": "list", "data": [{"id": "other-7b", "object": "model"}]}).encode())

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, asked))
        lines = [": hello", "", 'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}', ""]
        end = {
            "well": ['data: {"choices": [{"delta": {"content": " you"}, "finish_reason": "stop"}]}', "", "data: [DONE]", ""],
            "break": [],
            "fail": ['data: {"error": {"message": "out of memory"}}', ""],
            "babble": ["data: <html>", ""],
        }
        self._send("\n".join(lines + end[asked["messages"][0]["content"]]).encode(), "text/event-stream")

    def log_message(self, *args):
        pass


@pytest.fixture
def foreign():
    with ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield server, RemoteBackend(f"http://127.0.0.1:{server.server_port}/v1")
        server.shutdown()


def test_a_foreign_endpoint_chats_but_neither_scores_nor_measures(foreign, clips_folder):
    server, remote = foreign
    assert (remote.system, remote.scale) == ("other-7b", "remote")
    assert remote.reply([Message("user", "well")], Sampling()).text() == "Hi you"
    assert not {"repetition_penalty", "sentence_penalty"} & set(server.asked[0][1])
    for refused in (lambda: remote.score([Message("user", "x")], ["a"]), lambda: remote.analyze(clips_folder / "video.mp4")):
        with pytest.raises(BackendError, match="needs an emollm server"):
            refused()
    assert len(server.asked) == 1  # nothing was sent to it


@pytest.mark.parametrize(("how", "message"), [("break", "ended in the middle"), ("fail", "out of memory"), ("babble", "not JSON")])
def test_a_foreign_stream_that_goes_wrong(foreign, how, message):
    with pytest.raises(BackendError, match=message):
        foreign[1].reply([Message("user", how)], Sampling()).text()
