"""`emollm app`: the chat with a page, in the browser. The page is there at once; gradio and the model come up behind it."""

from __future__ import annotations

import signal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emollm import catalog
from emollm.commands.loading import Adapters, Bits, DeviceMap, Engine, load_backend
from emollm.errors import MediaError
from emollm.lazy import need

if TYPE_CHECKING:
    from emollm.chat.backend import ChatBackend

_HERE = ("127.0.0.1", "localhost", "::1")


def app(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on; 127.0.0.1 is this machine only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
    system: Annotated[str, typer.Option(help="Which system answers: a recipe's name or file, or echo (no weights).")] = "emollm",
    scale: Annotated[str, typer.Option(help="toy, mini or full.")] = "mini",
    clip: Annotated[Path | None, typer.Option(help="Open the page with this clip.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads for the model; default: torch's choice.")] = None,
    adapters: Adapters = None,
    bits: Bits = None,
    device_map: DeviceMap = None,
    engine: Engine = "auto",
) -> None:
    """Open the app on a local address; Ctrl-C ends it and deletes all clips."""
    if clip is not None and not clip.is_file():
        raise MediaError(f"no clip at {clip}; --clip takes the path of a video, sound or picture", code="not_found")
    if find_spec("gradio") is None:
        need("gradio", extra="app")  # says what to install; where it is there, it is imported behind the waiting page
    from emollm.app.port import address, check_free
    from emollm.app.splash import Splash

    check_free(host, port)  # before the weights load, so that nobody waits for a refusal
    _check(system, scale)
    signal.signal(signal.SIGTERM, _leave)
    splash = Splash(host, port)
    typer.echo(f"emollm is getting ready at {address(host, port)}", err=True)
    try:
        from emollm.app import door, page
        from emollm.app.standby import Standby
        from emollm.media.guarded import Confinement, Guard, available

        guard = Guard(Confinement(longer="shorten")) if available() else None  # a file that crashes a codec costs one upload, not the app

        def make(name: str, size: str) -> ChatBackend:
            own = adapters if name == system else None  # adapters that were given belong to the system they were given for
            if guard is not None:
                guard.warm()  # while the model loads
            made = load_backend(name, size, threads, own, bits, device_map, engine)
            if guard is not None and (opens := getattr(made, "open_with", None)) is not None:
                opens(guard.open)
            return made

        backend = Standby(make, system, scale)
        samples = sorted((catalog.folder("instruct_data") / "samples").glob("*.mp4"))
        demo = page.build_demo(backend, samples, clip, local=host in _HERE)
    finally:
        splash.close()
    try:
        door.launch(demo, host, port)
        backend.load()
        print(f"emollm is ready at {address(host, port)}", flush=True)
        backend.there()  # a model that cannot be loaded ends the program, with the reason
        demo.block_thread()
    finally:
        demo.close(verbose=False)
        if guard is not None:
            guard.close()


def _check(system: str, scale: str) -> None:
    """Refuse a system or scale that does not exist before anything is opened.

    Raises:
        RecipeError: If there is none.
    """
    if system != "echo":
        from emollm.recipe import load_recipe

        load_recipe(system).at(scale)


def _leave(_signal: int, _frame: object) -> None:
    raise SystemExit(0)
