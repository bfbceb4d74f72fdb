"""A real server around the echo backend on a free port, and the official client."""

import socket
import threading
import time
from contextlib import contextmanager

import openai
import uvicorn

from emollm.serving.router import build_server

MODEL = "echo-toy"


@contextmanager
def served(backend, *, guarded=False, **options):
    """Yields the address up to and including /v1. Clips are decoded here unless asked otherwise, which saves a process a test."""
    app = build_server(backend, guarded=guarded, **options)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def client_of(url, key="any"):
    with openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60) as client:
        yield client


@contextmanager
def server_and_client(backend, **options):
    with served(backend, **options) as url, client_of(url, options.get("api_key") or "any") as client:
        yield client
