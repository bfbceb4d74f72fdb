"""Command-line options to a chat backend: the one place where `chat`, `serve` and `app` load a system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from emollm.chat.backend import ChatBackend
    from emollm.cluster.halves import Halves
    from emollm.engine.settings import EngineSettings
    from emollm.media.guarded import Confinement

Adapters = Annotated[Path | None, typer.Option(help="Folder of trained adapters; the shipped ones if not given.")]
Bits = Annotated[int | None, typer.Option(help="Hold the language model in 4 or 8 bits (extra quant).")]
DeviceMap = Annotated[str | None, typer.Option(help='Where the model goes: "auto", "cuda:0"; the processor if not given.')]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        help='What the language model runs on: "auto", "openvino", "torch", "fast" (weights in 8 bits), or "vllm" (another process).',
    ),
]
EngineUrl = Annotated[str, typer.Option("--engine-url", help="Address of vLLM, up to and including /v1; with --engine vllm.")]
EngineKey = Annotated[str, typer.Option("--engine-key", envvar="EMOLLM_ENGINE_KEY", show_envvar=True, help="Key of vLLM, if it has one.")]
EnginePublic = Annotated[
    bool, typer.Option("--engine-public", help="Let --engine-url be a public address: embeddings of clips are sent there.")
]


def engine_choice(engine: str, url: str, key: str, public: bool) -> EngineSettings | str:
    """The engine that options name: a word, or for vLLM all that was said of it.

    Raises:
        BackendError: If they do not go together.
    """
    if engine != "vllm" and not url:
        return engine
    from emollm.engine.address import checked
    from emollm.engine.settings import EngineSettings

    settings = EngineSettings.named(engine, url=url, key=key, url_public=public)
    checked(url, public=public)  # a wrong address should fail before seconds of loading
    return settings


def load_backend(
    system: str,
    scale: str,
    threads: int | None,
    adapters: Path | None = None,
    bits: int | None = None,
    device_map: str | None = None,
    engine: EngineSettings | str = "auto",
) -> ChatBackend:
    """A system ready to answer; options that the echo system does not know are passed only where they were given."""
    import emollm

    options: dict[str, Any] = {"adapters": adapters} if adapters is not None else {}
    if system != "echo":
        options["engine"] = engine
    if bits is not None or device_map is not None:
        from emollm.model.llm import hold

        options["hold"] = hold(bits=bits, device_map=device_map)
    backend: ChatBackend = emollm.load(system, scale=scale, threads=threads, **options)
    return backend


def load_halves(
    system: str,
    scale: str,
    threads: int | None,
    adapters: Path | None,
    bits: int | None,
    device_map: str | None,
    engine: EngineSettings | str,
    *,
    confinement: Confinement,
) -> Halves:
    """A system as two halves that replicas build. What is wrong with the names is told here, not by a process that ends."""
    from emollm.cluster.halves import EchoHalves

    if system == "echo":
        return EchoHalves(confinement=confinement)
    from emollm.cluster.local import LocalHalves
    from emollm.engine.settings import EngineSettings
    from emollm.recipe import load_recipe

    load_recipe(system).at(scale)
    if isinstance(engine, str):
        engine = EngineSettings.named(engine)
    return LocalHalves(system, scale, threads or 1, adapters and adapters.absolute(), bits, device_map, engine, confinement)
