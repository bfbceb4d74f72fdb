"""`emollm train`: a recipe's stages over a data folder or over unified samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emollm.errors import EmollmError


def train(
    system: Annotated[str, typer.Argument(help="Recipe name or path to a .toml.")] = "emollm",
    *,
    scale: Annotated[str, typer.Option(help="toy or mini.")] = "mini",
    data: Annotated[Path | None, typer.Option(help="Folder with index.jsonl and its shards.")] = None,
    samples: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Unified JSONL file, in the place of --data; give it once a file.")
    ] = None,
    media: Annotated[Path | None, typer.Option(help="With --samples: folder the paths of their media begin in.")] = None,
    mixture: Annotated[
        str | None,
        typer.Option(help="One mixture for all supervised stages (with --samples a unified one); each stage's own if not given."),
    ] = None,
    passes: Annotated[
        float | None,
        typer.Option(min=0.01, help="How often the supervised stages together go through their data; as each says if not given."),
    ] = None,
    films: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="With --data: folder made by emollm synth; give it once a folder.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where checkpoints go; runs/SYSTEM-SCALE if not given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a stopped run ended.")] = False,
    stage: Annotated[str | None, typer.Option(help="Run this stage only, from the weights of the one before.")] = None,
    start: Annotated[Path | None, typer.Option(help="Begin from these adapters, for a short re-training.")] = None,
    encoders: Annotated[Path | None, typer.Option(help="Folder with our encoders; the shipped ones if not given.")] = None,
    features: Annotated[
        Path | None, typer.Option(help="Folder of encoded media, shared between systems; inside --out if not given.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes for encoding.")] = 2,
    threads: Annotated[int, typer.Option(help="Threads of torch while training.")] = 2,
    shrink: Annotated[float, typer.Option(help="Share of the data to use, for a quick trial.")] = 1.0,
    renders: Annotated[int, typer.Option(min=0, help="With --stage encoders: synthetic faces beside the real ones (extra synth).")] = 0,
    bits: Annotated[int | None, typer.Option(help="Hold the language model in 4 or 8 bits while its adapters learn (extra quant).")] = None,
    checkpointing: Annotated[bool, typer.Option("--checkpointing", help="Spend time to save memory in the backward pass.")] = False,
    device_map: Annotated[str | None, typer.Option(help='Where layers go: "auto", "cuda:0"; the processor if not given.')] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Train a system on labelled faces, speech and text, or on unified samples."""
    if renders and stage != "encoders":
        raise EmollmError("--renders is for the face encoder: add --stage encoders.")
    import torch
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from emollm.model.llm import hold
    from emollm.training.run import train as run

    torch.set_num_threads(threads)
    folder = out or Path("runs") / f"{system}-{scale}"
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[detail]}"), TimeElapsedColumn(), TimeRemainingColumn()
    ) as bars:
        rows: dict[str, int] = {}

        def say(what: str, share: float, detail: str) -> None:
            if what not in rows:
                rows[what] = bars.add_task(what, total=1.0, detail="")
            bars.update(rows[what], completed=share, detail=detail)  # type: ignore[arg-type]
            if not bars.console.is_terminal:
                bars.console.print(f"{what}: {share:.0%} {detail}")

        done = run(
            system, scale, data, folder, samples=samples or (), media=media, mixture=mixture, films=films or (), resume=resume, only=stage,
            start=start, own=encoders, features=features, workers=workers, shrink=shrink,
            renders=renders, passes=passes, seed=seed, hold=hold(bits=bits, checkpointing=checkpointing, device_map=device_map), say=say,
        )  # fmt: skip
    typer.echo(f"trained adapters are in {done}")
