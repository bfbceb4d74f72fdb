"""Where embeddings may go: this machine and private networks."""

import socket

import pytest

from emollm.engine.address import checked
from emollm.errors import BackendError


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/v1",
        "http://localhost:9000/v1",
        "http://[::1]:9000/v1",
        "https://10.1.2.3/v1",
        "http://192.168.0.7:1/v1",
        "http://172.16.5.5/v1",
        "http://[fd00::1]/v1",
    ],
)
def test_loopback_and_private_addresses_are_accepted(url):
    assert checked(url + "/") == url


@pytest.mark.parametrize(
    "url",
    ["http://8.8.8.8/v1", "http://172.32.0.1/v1", "http://[2606:4700::1111]/v1", "http://[::ffff:8.8.8.8]/v1", "http://0.0.0.0:9000/v1"],
)
def test_public_addresses_need_leave(url):
    with pytest.raises(BackendError, match="public"):
        checked(url)
    assert checked(url, public=True) == url


def test_a_name_is_as_public_as_the_most_public_of_its_addresses(monkeypatch):
    def found(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("10.0.0.1", "1.1.1.1")]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with pytest.raises(BackendError, match=r"1\.1\.1\.1"):
        checked("http://models.example.org/v1")


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:9000", "ftp://127.0.0.1/v1", "http:///v1", "http://u:p@127.0.0.1/v1", "http://127.0.0.1:x/v1"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(BackendError, match="no address"):
        checked(url)
