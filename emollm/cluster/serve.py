"""Replicas of a system on Ray Serve, and the backend that speaks to them. Serve's own door stays shut: ours is the only one."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from emollm.cluster.backend import ClusterBackend
from emollm.cluster.halves import Halves
from emollm.cluster.replicas import Encoders, Writers
from emollm.cluster.start import HERE, running, share_of_cores
from emollm.errors import BackendError
from emollm.lazy import need

ROUTER = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"  # turns of a conversation meet the same replica


@dataclass(frozen=True, slots=True)
class Plan:
    """How many replicas there are and what each takes on."""

    writers: int = 1
    encoders: int = 1
    parallel: int = 8  # replies that one writer writes side by side
    queue: int = 16  # calls that wait for a replica, or have just come; one more is refused
    batch: int = 16  # clips that encoders take at once
    batch_wait_s: float = 0.05  # for others, after the first
    gpu: bool = False  # one for each writer


@contextmanager
def deployed(halves: Halves, plan: Plan, address: str = HERE) -> Iterator[ClusterBackend]:
    """Replicas, for as long as the block lasts.

    Raises:
        NeedsExtraError: If Ray Serve is not installed.
        BackendError: If the replicas do not start; their reason is in the message.
    """
    serve = need("ray.serve", extra="ray")
    with running(address):
        for name in ("ray", "ray.serve"):
            logging.getLogger(name).setLevel(logging.ERROR)
        names = [f"emollm-{part}-{uuid.uuid4().hex[:8]}" for part in ("encoders", "writers")]
        try:
            quiet = {"log_level": "ERROR", "enable_access_log": False}
            serve.start(proxy_location="Disabled", logging_config=quiet)
            apps = (_encoders(serve, halves, plan), _writers(serve, halves, plan))
            encoders, writers = (
                serve.run(app, name=name, route_prefix=None, logging_config=quiet) for name, app in zip(names, apps, strict=True)
            )
            system, scale, version = writers.identity.remote().result()
        except RuntimeError as error:
            raise BackendError(f"the replicas of this system did not start: {error}") from error
        try:
            yield ClusterBackend(encoders, writers, (system, scale, version))
        finally:
            if address != HERE:  # a Ray of our own goes as a whole
                for name in names:
                    with suppress(Exception):
                        serve.delete(name)


def _encoders(serve: Any, halves: Halves, plan: Plan) -> Any:
    batched = serve.batch(max_batch_size=plan.batch, batch_wait_timeout_s=plan.batch_wait_s)(Encoders.measure)
    kind = type("Encoders", (Encoders,), {"measure": batched})  # Serve finds the object that a batch belongs to by this very name
    return serve.deployment(
        name="encoders",
        num_replicas=plan.encoders,
        max_ongoing_requests=2 * plan.batch,  # one batch is worked on while the next gathers
        max_queued_requests=2 * plan.batch + plan.parallel * plan.writers + plan.queue,
        max_constructor_retry_count=1,
        graceful_shutdown_timeout_s=5,
        ray_actor_options={"num_cpus": share_of_cores(plan.encoders + plan.writers)},
    )(kind).bind(halves)


def _writers(serve: Any, halves: Halves, plan: Plan) -> Any:
    return serve.deployment(
        name="writers",
        num_replicas=plan.writers,
        max_ongoing_requests=plan.parallel,
        max_queued_requests=plan.queue,
        max_constructor_retry_count=1,
        graceful_shutdown_timeout_s=5,
        request_router_config=serve.config.RequestRouterConfig(request_router_class=ROUTER),
        ray_actor_options={"num_cpus": share_of_cores(plan.encoders + plan.writers), **({"num_gpus": 1} if plan.gpu else {})},
    )(Writers).bind(halves, plan.parallel)
