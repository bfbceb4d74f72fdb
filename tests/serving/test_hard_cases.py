"""Bad files, bad luck and bad manners against a server that decodes in processes of its own; every case makes its own file.

The numbers are those of the table in `docs/serving.md`, which says where the others are tested.
"""

import base64
import json
import logging
import os
import signal
import struct
import threading
import time
import zlib

import clips
import httpx
import numpy as np
import odd_clips
import openai
import psutil
import pytest
from servers import MODEL, client_of, served

from emollm.chat.echo import EchoBackend
from emollm.media import guarded
from emollm.serving.limits import Limits

pytestmark = pytest.mark.skipif(not guarded.available(), reason="this system cannot limit processes")
LIMITS = Limits(clip_s=20.0, body_bytes=2_000_000, messages=50)


class Canaries(logging.Handler):
    """Remembers what this project's code logs."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []

    def emit(self, record):
        if not record.name.startswith(("openai", "httpx", "httpcore", "asyncio", "selenium", "urllib3")):
            self.lines.append(record.getMessage())


@pytest.fixture(scope="module")
def log():
    handler, root = Canaries(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.lines
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("private")


@pytest.fixture(scope="module")
def hard_url(log, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        with served(EchoBackend(), limits=LIMITS, guarded=True) as address:
            yield address


@pytest.fixture(scope="module")
def hard(hard_url):
    with client_of(hard_url) as client:
        yield client


def part(content, mime="video/mp4"):
    return {"type": "video_url", "video_url": {"url": f"data:{mime};base64,{base64.b64encode(content).decode()}"}}


def look(client, content, mime="video/mp4", text="canarytext"):
    return client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": [part(content, mime), {"type": "text", "text": text}]}]
    )


def refused(client, content, status, code, **more):
    with pytest.raises(openai.APIStatusError) as caught:
        look(client, content, **more)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    return caught.value


def seen(answer):
    return answer.choices[0].message.content


def absent(answer, modality):
    found = answer.emollm["evidence"][modality]
    return not found["present"] and bool(found["reason"])


def test_1_and_3_files_that_are_no_clips(hard):
    for content in (odd_clips.half(index_first=False), b"", b"<html>canaryclip</html>", bytes(1000)):
        refused(hard, content, 400, "media_unreadable")
    assert "image of" in seen(look(hard, clips.png()))  # named video/mp4, and a picture all the same


def test_2_the_first_half_of_a_clip(hard):
    answer = look(hard, odd_clips.half(index_first=True))
    assert any(w.startswith("media_truncated") for w in answer.emollm["warnings"])
    length = float(seen(answer).split("video of ")[1].split(" s")[0])
    assert 1.5 < length < 4.5


def test_4_content_decides(hard):
    answer = look(hard, clips.wav())
    assert "audio of 0.5 s" in seen(answer) and answer.emollm["warnings"][0].startswith("type_mismatch")


def test_5_and_6_odd_sounds(hard):
    assert any(w.startswith("audio_empty") for w in look(hard, odd_clips.wav_of([]), "audio/wav").emollm["warnings"])
    loud = np.sign(np.sin(np.arange(8000)))
    broken = np.full(8000, np.nan)
    for samples in (odd_clips.wav_of(np.zeros(320)), odd_clips.wav_of(np.zeros(8000)), odd_clips.wav_of(loud), odd_clips.float_wav(broken)):
        answer = look(hard, samples, "audio/wav")
        assert "audio of" in seen(answer) and absent(answer, "voice")
        assert "NaN" not in json.dumps(answer.emollm)


def test_7_what_is_missing_is_named(hard):
    for content, missing in ((clips.video(sound=False), ("voice", "words")), (clips.wav(), ("face",)), (clips.png(), ("voice", "words"))):
        answer = look(hard, content)
        assert all(absent(answer, modality) for modality in missing) and "neutral" not in json.dumps(answer.emollm["evidence"])


def decoders():
    return [child for child in psutil.Process().children(recursive=True) if "emollm.media.child" in " ".join(child.cmdline())]


def test_9_a_picture_that_would_not_fit(hard):
    look(hard, clips.png())  # so that everything is loaded
    before = psutil.Process().memory_info().rss
    refused(hard, odd_clips.png_header(10_000, 10_000), 413, "image_too_large")
    refused(hard, bomb(10_000, 10_000), 413, "image_too_large")
    assert psutil.Process().memory_info().rss - before < 200e6
    assert all(child.memory_info().rss < 500e6 for child in decoders())


def bomb(width, height):
    """A PNG of few bytes whose rows are really there."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    row = bytes(3 * width + 1)
    rows = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_10_clips_that_are_too_long(hard):
    refused(hard, odd_clips.cornered(30.0, size=(32, 32), fps=5), 413, "media_too_long")
    refused(hard, odd_clips.wav_of(np.zeros(40 * 8000), hz=8000), 413, "media_too_long")
    liar = bytearray(odd_clips.wav_of(np.zeros(40 * 8000), hz=8000))
    liar[40:44] = struct.pack("<I", 16_000)  # says one second
    answer = look(hard, bytes(liar), "audio/wav")
    assert float(seen(answer).split("audio of ")[1].split(" s")[0]) <= LIMITS.clip_s + 1


def test_12_moving_and_still_pictures(hard):
    frames = [np.full((24, 32, 3), shade, np.uint8) for shade in (0, 120, 240)]
    assert "video of" in seen(look(hard, odd_clips.gif(frames), "image/gif"))
    assert "image of" in seen(look(hard, odd_clips.gif(frames[:1]), "image/gif"))
    with pytest.raises(openai.APIStatusError) as caught:
        look(hard, b"\x00\x00\x00\x1cftypheic\x00\x00\x00\x00mif1heic" + bytes(64), "image/heic")
    assert caught.value.status_code in (400, 415)


@pytest.mark.parametrize("name", ["playlist.m3u8", "list.ffconcat", "session.sdp", "picture.svg"])
def test_20_files_that_name_other_files(hard, tmp_path, name):
    (tmp_path / "secret.wav").write_bytes(clips.wav())
    content = {
        "playlist.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{tmp_path}/secret.wav\n#EXTINF:3,\nhttp://127.0.0.1:9/a\n#EXT-X-ENDLIST\n",
        "list.ffconcat": f"ffconcat version 1.0\nfile '{tmp_path}/secret.wav'\n",
        "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "picture.svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{tmp_path}/secret.png"/></svg>',
    }[name]
    error = refused(hard, content.encode(), 400, "media_unreadable", mime="application/x-mpegurl")
    assert "secret" not in error.message


@pytest.mark.parametrize(
    "text",
    [
        "\N{RIGHT-TO-LEFT OVERRIDE}right to left",
        "zero\u200bwidth",
        "nul \0 inside",
        "🎉" * 5000,
        "{question} {{x}} %s",
        "<script>alert(1)</script>",
    ],
)
def test_21_and_31_any_text_is_text(hard, text):
    answer = hard.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": text}])
    assert seen(answer).endswith(text.rstrip())


def test_23_bodies_that_are_too_much(hard, hard_url):
    def post(content):
        return httpx.post(f"{hard_url}/chat/completions", content=content, headers={"content-type": "application/json"}, timeout=60)

    assert post(b" " * 3_000_000).status_code == 413
    deep = b'{"model": "echo", "messages": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    assert post(deep).status_code == 400
    many = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "a"}] * 20_000}).encode()
    assert post(many).json()["error"]["code"] == "too_many_messages"
    twice = b'{"model": "gpt-9", "model": "echo", "messages": [{"role": "user", "content": "hi"}]}'
    assert post(twice).status_code == 200
    assert httpx.get(hard_url.removesuffix("/v1") + "/health").status_code == 200


def until(probe):
    end = time.monotonic() + 60
    while not probe():
        assert time.monotonic() < end
        time.sleep(0.02)


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_25_a_client_that_leaves_while_sending(hard, hard_url, folder):
    import socket

    host, port = hard_url.removeprefix("http://").removesuffix("/v1").split(":")
    for head in (
        "/v1/chat/completions HTTP/1.1\r\nContent-Type: application/json",
        "/v1/files HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b",
    ):
        with socket.create_connection((host, int(port))) as one:
            one.sendall(f"POST {head}\r\nHost: a\r\nContent-Length: 100000\r\n\r\n--b\r\n".encode() + b"x" * 1000)
    until(lambda: not files_in(folder))
    assert seen(look(hard, clips.png()))


def test_28_a_decoder_that_is_killed(folder):
    class Killing(EchoBackend):
        """Kills the decoder as soon as it has begun, once."""

        def __init__(self):
            super().__init__()
            self.killed = False

        def open_with(self, opened):
            def once(path, limits):
                reel = opened(path, limits)
                if not self.killed:
                    self.killed = True
                    os.kill(reel._process.id, signal.SIGSEGV)
                return reel

            super().open_with(once)

    long = odd_clips.cornered(15.0, size=(640, 480), fps=8)
    with served(Killing(), guarded=True, limits=Limits(body_bytes=20_000_000)) as url, client_of(url) as client:
        refused(client, long, 500, "decoder_failed")
        assert "video of" in seen(look(client, long))
        text = httpx.get(url.removesuffix("/v1") + "/metrics").text
    assert "emollm_decoder_failures_total 1" in text
    assert not [child for child in decoders() if child.status() == psutil.STATUS_ZOMBIE]


def test_29_a_disk_that_cannot_be_written(monkeypatch):
    from pathlib import Path

    with served(EchoBackend()) as url, client_of(url) as client:
        for number, status, code in ((28, 507, "storage_full"), (30, 503, "storage_unavailable")):
            with monkeypatch.context() as patch:
                patch.setattr(Path, "write_bytes", lambda self, data, number=number: (_ for _ in ()).throw(OSError(number, "no")))
                refused(client, clips.png(), status, code)
        assert "image of" in seen(look(client, clips.png()))


def test_30_the_same_clip_of_two_users(folder):
    with served(EchoBackend(), api_key=["anna", "ben"]) as url, client_of(url, "anna") as anna, client_of(url, "ben") as ben:
        said = {}

        def one(name, client):
            said[name] = seen(look(client, clips.video(), text=f"I am {name}"))

        threads = [threading.Thread(target=one, args=pair) for pair in (("anna", anna), ("ben", ben))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert said["anna"].endswith("I am anna") and said["ben"].endswith("I am ben")


def test_33_no_trace_in_the_log_or_on_disk(hard, log, folder):
    """Last of those that share a server: what all of them sent must be nowhere."""
    hard.files.create(file=("canaryname.wav", clips.wav()), purpose="user_data")
    for file in hard.files.list():
        hard.files.delete(file.id)
    assert any("req_" in line for line in log)
    words = "\n".join(log)
    for canary in ("canarytext", "canaryclip", "canaryname", "right to left", "base64", "secret"):
        assert canary not in words
    assert files_in(folder) == []


def test_no_decoder_outlives_its_server():
    others = {child.pid for child in decoders()}  # of the server that the other tests share
    with served(EchoBackend(), guarded=True) as url, client_of(url) as client:
        look(client, clips.png())
        mine = [child for child in decoders() if child.pid not in others]
        assert mine
    until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in mine))
