"""Stopping a server that is busy, and clients that never finish what they began to send. The server is a process of its own."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager

import clips
import httpx
import pytest
from servers import client_of

START = """
import sys
import logging
from emollm.chat.echo import EchoBackend
from emollm.serving.limits import Limits
from emollm.serving.router import build_server
from emollm.serving.running import Server
from emollm.commands.serve import _listen
import os
logging.basicConfig(level=logging.INFO)
limits = Limits(grace_s=30.0, header_s=1.0, upload_s=2.0)
with _listen("127.0.0.1", 0) as listener:
    app = build_server(EchoBackend(delay_s=float(sys.argv[1])), limits=limits, guarded=sys.argv[2] == "guarded")
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)
    server = Server(app, limits)
    server.run(sockets=[listener])
    print("left", flush=True)
    if server.force_exit:
        app.state.service.close()
        os._exit(1)
"""
LONG = [{"role": "user", "content": "word " * 100}]
WAIT_S = 90


@contextmanager
def running(tmp_path, delay_s=0.02, decoding="here"):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", START, str(delay_s), decoding]
    with (
        tempfile.TemporaryFile("w+") as log,  # a pipe that nobody reads would fill up and stop the server
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=env) as process,
    ):
        process.log = log
        try:
            url = process.stdout.readline().strip()
            with client_of(url) as client:
                until(lambda: up(url))
                yield process, url, client
        finally:
            process.kill()


def up(url):
    try:
        return httpx.get(url.removesuffix("/v1") + "/ready", timeout=WAIT_S).status_code == 200
    except httpx.TransportError:
        return False


def until(probe):
    end = time.monotonic() + WAIT_S
    while not probe():
        assert time.monotonic() < end
        time.sleep(0.02)


def long(client):
    return client.chat.completions.create(model="echo", messages=LONG, stream=True, max_tokens=4096)


def text(stream):
    return "".join(c.choices[0].delta.content or "" for c in stream)


def test_what_runs_ends_and_new_work_is_refused(tmp_path):
    with running(tmp_path) as (process, url, client):
        streams = [long(client), long(client)]
        for stream in streams:
            next(iter(stream))
        process.send_signal(signal.SIGTERM)
        root = url.removesuffix("/v1")
        until(lambda: httpx.get(f"{root}/ready").status_code == 503)
        assert httpx.get(f"{root}/health").status_code == 200
        refused = httpx.post(f"{url}/chat/completions", json={"model": "echo", "messages": LONG})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "stopping") and refused.headers["retry-after"]
        said = []
        threads = [threading.Thread(target=lambda s=stream: said.append(text(s))) for stream in streams]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        assert [len(words.split()) for words in said] == [106, 106]
        out, _ = process.communicate(timeout=WAIT_S)
        process.log.seek(0)
        log = process.log.read()
    assert process.returncode == 0 and "left" in out and "Traceback" not in log
    assert list(tmp_path.iterdir()) == []


def test_a_second_signal_ends_it_at_once(tmp_path):
    with running(tmp_path, delay_s=1.0) as (process, url, client):
        stream = long(client)  # a hundred seconds if nobody stopped it
        next(iter(stream))
        process.send_signal(signal.SIGTERM)
        until(lambda: not up(url))  # it has noticed: two signals at once would be one
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=WAIT_S)
    assert list(tmp_path.iterdir()) == []


def head(url):
    return re.match(r"http://([^:]+):(\d+)", url).groups()


def test_slow_heads_are_closed_and_others_served_meanwhile(tmp_path):
    with running(tmp_path, delay_s=0) as (_, url, client):
        host, port = head(url)
        slow = [socket.create_connection((host, int(port)), timeout=WAIT_S) for _ in range(100)]
        for one in slow:
            one.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nX-Slow: ")
        assert client.chat.completions.create(model="echo", messages=LONG).choices[0].message.content
        for one in slow:
            assert one.recv(100) == b""  # closed, without an answer
            one.close()
        again = socket.create_connection((host, int(port)), timeout=WAIT_S)  # a second head on a used connection
        again.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200" in again.recv(4096)
        again.sendall(b"GET /health HTTP/1.1\r\n")
        rest = b""
        while piece := again.recv(4096):
            rest += piece
        assert b"HTTP/1.1 200" not in rest
        again.close()


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
def test_slow_bodies_are_answered_408(tmp_path, kind):
    with running(tmp_path, delay_s=0) as (_, url, client):
        host, port = head(url)
        path, begun = ("/v1/files", "--b\r\n") if "multipart" in kind else ("/v1/chat/completions", "{")
        with socket.create_connection((host, int(port)), timeout=WAIT_S) as slow:
            slow.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: 1000\r\n\r\n{begun}".encode())
            said = b""
            while b"}}" not in said and (piece := slow.recv(65_536)):
                said += piece
        assert b" 408 " in said.split(b"\r\n")[0] and json.loads(said.partition(b"\r\n\r\n")[2])["error"]["code"] == "upload_timeout"
        assert client.models.list().data


@pytest.mark.slow
def test_a_thousand_requests_leave_memory_threads_and_files_as_they_were(tmp_path):
    clip = base64.b64encode(clips.wav()).decode()
    sound = {"type": "input_audio", "input_audio": {"data": clip, "format": "wav"}}
    with running(tmp_path, delay_s=0, decoding="guarded") as (_, url, client):

        def some(count):
            for i in range(count):
                content = [sound] if i % 10 == 0 else f"number {i}"
                answer = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": content}], stream=i % 2 == 0)
                assert len(list(answer)) > 1

        def state():
            lines = (line.rsplit(" ", 1) for line in httpx.get(url.removesuffix("/v1") + "/metrics").text.splitlines())
            told = {name: float(value) for name, value in lines if name.startswith("process_")}
            return told["process_resident_memory_bytes"], told["process_open_fds"], told["process_threads"]

        some(200)
        before = state()
        some(1000)
        after = state()
    assert after[0] < 1.05 * before[0] and after[1] <= before[1] + 2 and after[2] <= before[2] + 1, (before, after)
