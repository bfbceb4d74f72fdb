"""`emollm data open` and `emollm data show`: build the open corpus from labelled data and rendered clips, and print samples to read."""

from __future__ import annotations

import shlex
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer


def open_corpus(
    data: Annotated[Path, typer.Option(help="Folder with index.jsonl; docs/open_corpus.md tells how to assemble one.")],
    out: Annotated[Path, typer.Option(help="Gets train.jsonl, val.jsonl, media/, card.md and card.json.")],
    synth: Annotated[list[Path] | None, typer.Option(help="A folder of `emollm synth`; may be given several times.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of wordings and pairs; the same seed gives the same files.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the parts that a stopped build with the same options left.")] = False,
) -> None:
    """Build the open corpus: samples of all three levels from labelled faces, voices and texts and from rendered clips."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from emollm.data import card
    from emollm.data.open_corpus.build import build
    from emollm.data.open_corpus.parts import LEFT_OUT
    from emollm.evaluation.events import movements

    begun = monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bars:
        rows: dict[str, TaskID] = {}

        def say(what: str, done: int, of: int) -> None:
            row = "samples of labelled data" if what.startswith("samples of") else what
            if row not in rows:
                rows[row] = bars.add_task(row, total=of)
            bars.update(rows[row], completed=done, total=of)

        built = build(data, synth or (), out, movements, seed=seed, workers=workers, resume=resume, say=say)
    folders = "".join(f" --synth {shlex.quote(str(folder))}" for folder in synth or ())
    command = f"emollm data open --data {shlex.quote(str(data))}{folders} --out {shlex.quote(str(out))} --seed {seed}"
    notes = {"dropped": built.dropped, "refused": built.refused, "checked": built.checked, "clips": built.clips, "left_out": LEFT_OUT}
    page = card.write(out, command, monotonic() - begun, notes)
    typer.echo(f"{', '.join(f'{split} {count}' for split, count in sorted(built.samples.items()))} samples in {out}; the card is {page}.")
    if built.dropped:
        typer.echo(f"dropped: {sum(built.dropped.values())} items, duplicates most of them; the card tells which")
    if built.refused:
        typer.echo(f"refused by the truth check: {sum(built.refused.values())} of {built.checked} texts")


def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A unified JSONL file.")],
    count: Annotated[int, typer.Option(min=1, help="How many samples, drawn at random.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same samples.")] = 0,
) -> None:
    """Print samples so that a person can read them: media, words, question and answer."""
    from emollm.data.open_corpus.show import drawn, told
    from emollm.errors import DataError

    if not path.is_file():
        raise DataError(f"no file at {path}; give a unified JSONL file, such as train.jsonl of `emollm data open`.")
    for number, sample in enumerate(drawn(path, count, seed), 1):
        typer.echo(f"{number}. {told(sample)}\n")
