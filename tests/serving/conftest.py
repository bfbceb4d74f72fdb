"""One small server for all tests of a module that do not need another, and one around a random system for what needs an engine."""

import pytest
from servers import client_of, served

from emollm.chat.echo import EchoBackend
from emollm.serving.limits import Limits


@pytest.fixture(scope="module")
def url():
    limits = Limits(messages=20, clips=2, labels=5, body_bytes=200_000)
    with served(EchoBackend(), limits=limits) as address:
        yield address


@pytest.fixture(scope="module")
def client(url):
    with client_of(url) as client:
        yield client


@pytest.fixture(scope="session")
def toy_url():
    import emollm

    with served(emollm.load("emollm", scale="toy", threads=1)) as address:
        yield address


@pytest.fixture(scope="session")
def toy(toy_url):
    with client_of(toy_url) as client:
        yield client
