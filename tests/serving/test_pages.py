"""Web pages and the server: a page that was not named can neither ask nor read, whatever name it gives this machine."""

import httpx
import pytest
from servers import served

from emollm.chat.echo import EchoBackend
from emollm.commands.serve import LOOPBACK

PAGE = "https://app.example.org"
BODY = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}


def post(url, **headers):
    return httpx.post(f"{url}/chat/completions", json=BODY, headers=headers, timeout=60)


@pytest.fixture(scope="module")
def local():
    with served(EchoBackend(), hosts=LOOPBACK) as url:
        yield url


def test_a_name_that_was_made_to_mean_this_machine_is_refused(local):
    for host in ("evil.example.org", "evil.example.org:8000", "127.0.0.1.evil.org", "", "[::2]:8000"):
        response = post(local, host=host)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "host_not_allowed")
    for host in ("localhost:1", "127.0.0.1", "[::1]:8000", "LOCALHOST"):
        assert post(local, host=host).status_code == 200


def test_pages_may_not_ask_a_server_without_a_key(local):
    for origin in (PAGE, "null", "http://localhost:3000"):
        response = post(local, origin=origin)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "origin_not_allowed")
    upload = httpx.post(f"{local}/files", files={"file": b"x"}, headers={"origin": PAGE}, timeout=60)  # needs no leave from a browser
    assert upload.status_code == 403 and httpx.get(f"{local}/files", timeout=60).json()["data"] == []


def test_a_page_that_was_named_may(local):
    with served(EchoBackend(), origins=[PAGE]) as url:
        asked = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
        leave = httpx.options(f"{url}/chat/completions", headers=asked, timeout=60)
        assert leave.status_code == 200 and leave.headers["access-control-allow-origin"] == PAGE
        answer = post(url, origin=PAGE)
        assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == PAGE
        refused = httpx.options(f"{url}/chat/completions", headers=asked | {"origin": "https://evil.example.org"}, timeout=60)
        assert "access-control-allow-origin" not in refused.headers
        assert post(url, origin="https://evil.example.org").status_code == 403
    assert "access-control-allow-origin" not in post(local).headers


def test_with_a_key_the_key_decides():
    with served(EchoBackend(), api_key="k") as url:
        assert post(url, origin=PAGE).status_code == 401
        answer = post(url, origin=PAGE, authorization="Bearer k")
        assert answer.status_code == 200 and "access-control-allow-origin" not in answer.headers
