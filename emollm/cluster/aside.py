"""Calls to all replicas of an application beside Serve.

Through Serve even a call to all of them waits at each for a place among those it works on, and replies may hold all of them for minutes.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

NAMESPACE = "serve"  # where replicas are found by names that hold their application's
LOOK_S = 1.0  # how often it is asked whether those that do not answer have started at all

_here: weakref.WeakSet[Any] = weakref.WeakSet()


def answer_with(replica: Any) -> None:
    """Have calls to this process reach an object of it."""
    _here.add(replica)


def ask_all(app: str, method: str, *arguments: Any, timeout_s: float) -> list[Any]:
    """What a method returns in each replica. Those that died or have not started yet are left out: they know nothing.

    Args:
        app: Name of the application, which must be like no other.
        method: Must return soon; it holds up the replica.
        arguments: Of the method.
        timeout_s: Until all have answered.

    Raises:
        TimeoutError: If one has not.
    """
    import ray
    from ray.exceptions import RayActorError
    from ray.util import list_named_actors

    left: list[Any] = []
    for found in list_named_actors(all_namespaces=True):
        if found["namespace"] == NAMESPACE and app in found["name"]:
            with suppress(ValueError):  # it died just now
                left.append(ray.get_actor(**found).__ray_call__.remote(_answers, method, arguments))
    answers: list[Any] = []
    due = time.monotonic() + timeout_s
    while left:
        done, left = ray.wait(left, num_returns=len(left), timeout=LOOK_S)
        for call in done:
            with suppress(RayActorError):
                answers += ray.get(call)
        if left and len(answers) >= _started(app):
            break
        if left and time.monotonic() > due:
            raise TimeoutError(f"of all replicas, {len(left)} did not answer within {timeout_s:.0f} s")
    return answers


def _answers(_: Any, method: str, arguments: Sequence[Any]) -> list[Any]:
    """In the process of a replica, whose actor Ray passes."""
    return [getattr(replica, method)(*arguments) for replica in list(_here)]


def _started(app: str) -> int:
    from ray import serve

    deployments = serve.status().applications[app].deployments.values()
    return sum(count for one in deployments for state, count in one.replica_states.items() if state == "RUNNING")
