"""Clips by URL: who may be asked, and what a bad server on the other side can do. A canary here counts who really connected."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import clips
import openai
import pytest
from servers import MODEL, client_of, served

from emollm.chat.echo import EchoBackend
from emollm.serving.errors import ApiError
from emollm.serving.fetch import Fetcher, is_public
from emollm.serving.limits import Limits

HOST = "media.example.org"


class Canary:
    """A server on this machine that remembers who came, and misbehaves on demand."""

    def __init__(self):
        self.paths = []
        self.hosts = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.paths.append(self.path)
                outer.hosts.append(self.headers["host"])
                outer.answer(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.stop = threading.Event()

    def answer(self, to):
        kind = to.path.strip("/").split("?")[0]
        if kind.startswith("to-"):
            to.send_response(302)
            to.send_header(
                "location", {"to-loopback": f"http://127.0.0.1:{self.port}/clip", "to-clip": "/clip", "to-itself": to.path}[kind]
            )
            to.end_headers()
            return
        to.send_response(404 if kind == "gone" else 200)
        if kind == "packed":
            to.send_header("content-encoding", "gzip")
        if kind == "liar":
            to.send_header("content-length", "10")
        if kind == "huge":
            to.send_header("content-length", "999999999")
        to.end_headers()
        try:
            if kind in ("clip", "liar"):
                to.wfile.write(clips.wav())
            while kind in ("slow", "endless", "silent") and not self.stop.is_set():
                if kind != "silent":
                    to.wfile.write(b"x" * (1 if kind == "slow" else 65_536))
                    to.wfile.flush()
                if kind != "endless":
                    self.stop.wait(0.05)
        except OSError:
            return


@pytest.fixture
def canary():
    canary = Canary()
    thread = threading.Thread(target=canary.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield canary
    canary.stop.set()
    canary.server.shutdown()
    thread.join()
    canary.server.server_close()


def fetcher(canary, *, limits=None, answers=("127.0.0.1",), may_reach=lambda address: True):
    names = list(answers)
    return Fetcher(
        [f"{HOST}:{canary.port}", f"other.example.org:{canary.port}"],
        limits or Limits(fetch_bytes=100_000, fetch_s=20.0),
        resolve=lambda host, port: [names.pop(0) if len(names) > 1 else names[0]],
        may_reach=may_reach,
    )


@contextmanager
def refused(code, status=400):
    with pytest.raises(ApiError) as caught:
        yield
    assert (caught.value.code, caught.value.status, caught.value.param) == (code, status, "here")


def test_an_allowed_clip_comes(canary, tmp_path):
    for path in ("clip", "to-clip", "clip?a=b"):
        fetcher(canary).fetch(f"http://{HOST}:{canary.port}/{path}", tmp_path / "a", "here")
        assert (tmp_path / "a").read_bytes() == clips.wav()
    assert set(canary.hosts) == {f"{HOST}:{canary.port}"} and canary.paths[-1] == "/clip?a=b"


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example.org/a", "http://media.example.org:{port}0/a", "https://127.0.0.1:{port}/a", "http://[::1]:{port}/a",
        "http://2130706433:{port}/a", "http://0x7f000001:{port}/a", "http://169.254.169.254/latest", "http://localhost:{port}/a",
        "http://media.example.org:{port}@127.0.0.1:{port}/a", "http://user:word@media.example.org:{port}/a", "ftp://media.example.org/a",
        "http://media.example.org.evil.org:{port}/a", "http://media.example.org:{port}\\@127.0.0.1/a", "http:///a", "http://[::1/a",
        "http://media.example.org:99999/a", "http://media.example.org:{port}/a\r\nHost: evil", "http://mediа.example.org:{port}/a",
    ],
)  # fmt: skip
def test_all_other_addresses_are_refused_and_nobody_is_asked(canary, tmp_path, url):
    for step in ("check", "fetch"):
        with refused("url_not_allowed"):
            if step == "check":
                fetcher(canary).check(url.format(port=canary.port), "here")
            else:
                fetcher(canary).fetch(url.format(port=canary.port), tmp_path / "a", "here")
    assert canary.paths == [] and not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1", "::1", "fe80::1%eth0",
     "fc00::1", "::ffff:127.0.0.1", "2002:7f00:1::", "::"],
)  # fmt: skip
def test_private_addresses_are_not_public(address):
    assert not is_public(address)


def test_public_ones_are():
    assert is_public("93.184.216.34") and is_public("2606:2800:220:1:248:1893:25c8:1946")


def test_a_name_with_a_private_address_is_refused(canary, tmp_path):
    with refused("url_not_allowed"):
        fetcher(canary, may_reach=is_public).fetch(f"http://{HOST}:{canary.port}/clip", tmp_path / "a", "here")
    assert canary.paths == []


def test_a_name_is_looked_up_once_for_each_request(canary, tmp_path):
    """The first answer is checked and used; a second look-up would have gone to where nobody is."""
    fetcher(canary, answers=("127.0.0.1", "127.0.0.2")).fetch(f"http://{HOST}:{canary.port}/clip", tmp_path / "a", "here")
    assert (tmp_path / "a").read_bytes() == clips.wav()


@pytest.mark.parametrize(
    ("path", "code", "status"),
    [
        ("to-loopback", "url_not_allowed", 400), ("to-itself", "url_not_allowed", 400), ("gone", "media_not_fetched", 400),
        ("packed", "unsupported_media", 415), ("huge", "media_too_large", 413), ("endless", "media_too_large", 413),
        ("liar", None, None),
    ],
)  # fmt: skip
def test_bad_servers(canary, tmp_path, path, code, status):
    url = f"http://{HOST}:{canary.port}/{path}"
    if code is None:  # what is more than was promised is not read
        fetcher(canary).fetch(url, tmp_path / "a", "here")
        assert len((tmp_path / "a").read_bytes()) <= 10
        return
    with refused(code, status):
        fetcher(canary).fetch(url, tmp_path / "a", "here")
    assert path != "to-loopback" or canary.paths == ["/to-loopback"]


@pytest.mark.parametrize("path", ["slow", "silent"])
def test_slow_servers_are_given_up(canary, tmp_path, path):
    with refused("fetch_timeout", 504):
        fetcher(canary, limits=Limits(fetch_s=0.5)).fetch(f"http://{HOST}:{canary.port}/{path}", tmp_path / "a", "here")


def test_nobody_there(tmp_path):
    def nowhere(host, port):
        raise OSError("no such name")

    with refused("media_not_fetched"):
        Fetcher([HOST], Limits(), resolve=nowhere).fetch(f"https://{HOST}/a", tmp_path / "a", "here")


def test_through_the_server(canary, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with served(EchoBackend(), fetcher=fetcher(canary)) as url, client_of(url) as client:

        def ask(address):
            part = {"type": "audio_url", "audio_url": {"url": address}}
            return client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": [part]}])

        assert "audio of 0.5 s" in ask(f"http://{HOST}:{canary.port}/clip").choices[0].message.content
        with pytest.raises(openai.BadRequestError) as caught:
            ask(f"http://127.0.0.1:{canary.port}/clip")
        assert caught.value.code == "url_not_allowed" and canary.paths == ["/clip"]
        with pytest.raises(openai.BadRequestError) as caught:
            ask("file:///etc/passwd")
        assert caught.value.code == "path_not_allowed"
    assert list(tmp_path.iterdir()) == []
