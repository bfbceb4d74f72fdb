"""`emollm serve`: the OpenAI-compatible server."""

from __future__ import annotations

import ipaddress
import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from emollm.commands.loading import (
    Adapters,
    Bits,
    DeviceMap,
    Engine,
    EngineKey,
    EnginePublic,
    EngineUrl,
    engine_choice,
    load_backend,
    load_halves,
)
from emollm.errors import EmollmError
from emollm.lazy import need

if TYPE_CHECKING:
    from emollm.chat.backend import ChatBackend

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on; beyond this machine only with an API key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8000,
    api_key: Annotated[
        list[str] | None,
        typer.Option(
            envvar="EMOLLM_API_KEY", show_envvar=True, help="Key that clients must send as a bearer token; may be given several times."
        ),
    ] = None,
    media_host: Annotated[
        list[str] | None,
        typer.Option(help="Host that clips may be fetched from by URL, as media.example.org; may be given several times. None by default."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(help="Web page whose scripts may ask, as https://app.example.org; may be given several times. None by default."),
    ] = None,
    system: Annotated[str, typer.Option(help='Name of a system, path to a .toml, or "echo" for a backend without weights.')] = "emollm",
    scale: Annotated[str, typer.Option(help="toy, mini or full.")] = "mini",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of the model; default: torch decides.")] = None,
    adapters: Adapters = None,
    bits: Bits = None,
    device_map: DeviceMap = None,
    engine: Engine = "auto",
    engine_url: EngineUrl = "",
    engine_key: EngineKey = "",
    engine_public: EnginePublic = False,
    no_key: Annotated[bool, typer.Option("--no-key", help="Serve other machines without an API key.")] = False,
    replicas: Annotated[
        int, typer.Option(min=0, help="Copies of the language model, in processes of their own (extra ray); 0: all in this process.")
    ] = 0,
    encoder_replicas: Annotated[int, typer.Option(min=1, help="With --replicas: copies of the encoders, which take clips in batches.")] = 1,
    ray_address: Annotated[
        str, typer.Option(help="With --replicas: a Ray that runs already, as 10.0.0.5:6379; otherwise one is started for this server.")
    ] = "local",
) -> None:
    """Serve chat, measurements and label scores over HTTP, as OpenAI's API."""
    need("uvicorn", extra="serve")
    need("fastapi", extra="serve")
    if replicas:
        need("ray.serve", extra="ray")
    from emollm.serving.fetch import Fetcher
    from emollm.serving.limits import Limits
    from emollm.serving.logs import start_log
    from emollm.serving.router import build_server
    from emollm.serving.running import Server

    keys = [api_key] if isinstance(api_key, str) else list(api_key or ())
    if not all(key.strip() for key in keys):
        raise EmollmError("the API key is empty. Give one, or leave it out on 127.0.0.1.")
    if not (keys or no_key or _is_loopback(host)):
        raise EmollmError(
            f"{host} can be reached from other machines, and no API key is set. Give --api-key KEY, or --no-key if that is meant."
        )
    chosen = engine_choice(engine, engine_url, engine_key, engine_public)
    limits = Limits(parallel=Limits().parallel * max(1, replicas))
    with _listen(host, port) as listener, ExitStack() as kept:
        if replicas:
            from emollm.cluster.serve import Plan, deployed

            halves = load_halves(system, scale, threads, adapters, bits, device_map, chosen, confinement=limits.confinement)
            plan = Plan(replicas, encoder_replicas, Limits().parallel, limits.parallel + limits.queue, gpu=device_map is not None)
            backend: ChatBackend = kept.enter_context(deployed(halves, plan, ray_address))
        else:
            backend = load_backend(system, scale, threads, adapters, bits, device_map, chosen)
        app = build_server(
            backend,
            api_key=keys,
            limits=limits,
            fetcher=Fetcher(media_host or (), limits),
            hosts=LOOPBACK if not keys and _is_loopback(host) else None,
            origins=cors_origin or (),
        )
        start_log()
        shown = f"[{host}]" if ":" in host else host
        print(f"emollm serves {system} at http://{shown}:{listener.getsockname()[1]}/v1  (stop with Ctrl+C)", flush=True)
        server = Server(app, limits)
        server.run(sockets=[listener])
        if server.force_exit:  # asked twice: work that still runs is not waited for
            app.state.service.close()
            kept.close()
            os._exit(1)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before weights are loaded, so that a taken one is told at once; connections are accepted only afterwards."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        return listener
    except OSError as error:
        listener.close()
        raise EmollmError(f"cannot listen on {host}, port {port}: {error.strerror}. Choose another with --host and --port.") from error
