"""One small server for all tests of a module that do not need another."""

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
