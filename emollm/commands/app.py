"""`emollm app`: the chat with a page, in the browser."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from emollm import catalog
from emollm.commands.loading import Adapters, Bits, DeviceMap, Engine, load_backend
from emollm.errors import MediaError
from emollm.lazy import need


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
    need("gradio", extra="app")
    from emollm.serving import gradio_ui

    gradio_ui.check_free(host, port)  # before the weights load, so that nobody waits for a refusal
    samples = sorted((catalog.folder("instruct_data") / "samples").glob("*.mp4"))
    demo = gradio_ui.build_demo(load_backend(system, scale, threads, adapters, bits, device_map, engine), samples, clip)
    signal.signal(signal.SIGTERM, _leave)
    try:
        print(f"emollm is ready at {gradio_ui.launch(demo, host, port)}", flush=True)
        demo.block_thread()
    finally:
        demo.close(verbose=False)


def _leave(_signal: int, _frame: object) -> None:
    raise SystemExit(0)
