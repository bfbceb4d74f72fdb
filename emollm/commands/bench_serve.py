"""How soon and how steadily a server answers several clients at once: ours, and `transformers serve` on the same language model."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

CLIENTS = 8
START_S = 120.0
QUESTIONS = (
    "I had a long day and nobody listened.", "I passed the exam I was afraid of.", "My neighbour is loud again.", "I miss my grandfather.",
    "Tomorrow is my first day at work.", "My friend forgot my birthday.", "I do not know what to cook.", "The dog ran away and came back.",
)  # fmt: skip


def measure_serving(backend: Any, tokens: int = 48) -> dict[str, float]:
    """One client, then eight at once, each with a question of its own: seconds to the first piece, between pieces, and tokens a second."""
    import httpx

    with _serving(backend) as url:
        return _figures(url, httpx.get(f"{url}/models", timeout=60).json()["data"][0]["id"], tokens)


def measure_transformers_serve(folder: Path, tokens: int = 48) -> dict[str, float]:
    """The same of `transformers serve` with the language model of a folder, without LoRA; nothing where it cannot be started here.

    Its names begin with "transformers_serve_".
    """
    with _transformers_serving(folder) as url:
        if url is None:
            return {}
        return {f"transformers_serve_{name}": value for name, value in _figures(url, str(folder), tokens).items()}


def _figures(url: str, model: str, tokens: int) -> dict[str, float]:
    _ask(url, model, "Hello.", 4)
    alone = [_ask(url, model, QUESTIONS[i], tokens) for i in range(2)]
    together: list[tuple[list[float], int]] = []
    threads = [threading.Thread(target=lambda q=q: together.append(_ask(url, model, q, tokens))) for q in QUESTIONS[:CLIENTS]]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    first = [times[0] for times, _ in together]
    gaps = [b - a for times, _ in together for a, b in pairwise(times)]
    return {
        "first_piece_alone_s": statistics.median(times[0] for times, _ in alone),
        "tokens_per_s_alone": statistics.median(count / times[-1] for times, count in alone),
        f"first_piece_p50_of_{CLIENTS}_s": statistics.median(first),
        f"first_piece_p95_of_{CLIENTS}_s": _high(first),
        f"gap_p50_of_{CLIENTS}_s": statistics.median(gaps),
        f"gap_p95_of_{CLIENTS}_s": _high(gaps),
        f"tokens_per_s_of_{CLIENTS}": sum(count for _, count in together) / seconds,
    }


def _high(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, round(0.95 * (len(values) - 1)))]


def _ask(url: str, model: str, question: str, tokens: int) -> tuple[list[float], int]:
    """When each piece came, in seconds from asking, and how many tokens there were."""
    import httpx

    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    began, times, count = time.perf_counter(), [], 0
    with httpx.stream("POST", f"{url}/chat/completions", json=body, timeout=600) as response:
        for line in response.iter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line[6:])
            if event["choices"] and event["choices"][0]["delta"].get("content"):
                times.append(time.perf_counter() - began)
            count = event["usage"]["completion_tokens"] if event.get("usage") else count
    return times, count or len(times)


@contextmanager
def _serving(backend: Any) -> Iterator[str]:
    import uvicorn

    from emollm.serving.router import build_server

    server = uvicorn.Server(uvicorn.Config(build_server(backend), log_config=None, access_log=False))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _transformers_serving(folder: Path) -> Iterator[str | None]:
    """Its address once it is up; None if it does not come up."""
    import httpx

    program = Path(sys.executable).with_name("transformers")
    if not program.is_file():
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([program, "serve", str(folder), "--device", "cpu", "--port", str(port)], **quiet)  # type: ignore[call-overload]
    try:
        end, there = time.monotonic() + START_S, False
        while not there and process.poll() is None and time.monotonic() < end:
            time.sleep(0.5)
            try:
                there = httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).is_success
            except httpx.HTTPError:
                continue
        yield f"http://127.0.0.1:{port}/v1" if there else None
    finally:
        process.terminate()
        process.wait(timeout=60)
