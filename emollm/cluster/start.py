"""Ray started for one command and stopped after it: on this machine unless told otherwise, with nothing reported to anybody."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import emollm
from emollm.errors import EmollmError
from emollm.lazy import need

HERE = "local"  # in place of an address: a Ray of its own, that nobody else can reach
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_agent_register_timeout_ms": "300000",  # parts that are late on a busy machine are waited for, not given up
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_prestart_worker_first_driver": "0",  # no workers but those that are asked for
}


@contextmanager
def running(address: str = HERE) -> Iterator[Any]:
    """The module `ray`, ready to be used.

    Args:
        address: Of a Ray that runs already, as "10.0.0.5:6379"; one is started for the time of the block if it is `HERE`.

    Raises:
        NeedsExtraError: If Ray is not installed.
        EmollmError: If there is none at the address.
    """
    with _settled():
        ray = need("ray", extra="ray")
        need("ray.data", extra="ray")
        _start(ray, address)
        try:
            yield ray
        finally:
            ray.shutdown()


def _start(ray: Any, address: str) -> None:
    own = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"} if address == HERE else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, **own)
    except Exception as error:  # Ray raises a bare one when its parts do not find one another
        ray.shutdown()
        what = (
            "Ray did not start on this machine, which may be too busy for it" if address == HERE else f"no Ray can be reached at {address}"
        )
        raise EmollmError(f"{what}: {error}") from error


@contextmanager
def _settled() -> Iterator[None]:
    """What Ray reads from the environment before it starts: no usage reports, no chatter, and this very package for its workers."""
    home = str(Path(emollm.__file__).parents[1])
    path = os.pathsep.join(dict.fromkeys([home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))
    wanted = {"PYTHONPATH": path, **{name: value for name, value in SETTINGS.items() if name not in os.environ}}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def share_of_cores(actors: int) -> float:
    """Processors that each of so many actors may claim, so that all of them are placed at once even on a small machine."""
    return min(1.0, math.floor(100 * (os.cpu_count() or 1) / actors) / 100)
