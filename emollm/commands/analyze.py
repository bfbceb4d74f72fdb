"""`emollm analyze`: measurements of clips as files, without the language model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emollm.errors import EmollmError, unknown_name
from emollm.lazy import need

if TYPE_CHECKING:
    from emollm.batch import Outcome, Runner

ENGINES = ("processes", "ray")


def analyze(
    clips: Annotated[list[Path], typer.Argument(help="Videos, sounds, pictures, or folders of them.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the results; a stopped run goes on in it.")] = Path("analysis"),
    formats: Annotated[str, typer.Option(help="Any of json,csv,srt,vtt,png.")] = "json,csv,srt,vtt,png",
    fps: Annotated[float, typer.Option(min=0.1, max=60, help="Frames looked at each second.")] = 8.0,
    read_words: Annotated[
        bool, typer.Option("--read-words", help="Let the language model tell the emotion of every line; takes about a second a line.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes, for several clips.")] = 1,
    engine: Annotated[
        str,
        typer.Option(help='Who runs the workers: "processes" of this machine, or "ray" (extra ray), which loses no clip with a worker.'),
    ] = "processes",
    ray_address: Annotated[
        str, typer.Option(help="With --engine ray: a Ray that runs already, as 10.0.0.5:6379; otherwise one is started for this command.")
    ] = "local",
    system: Annotated[str, typer.Option(help="Recipe whose encoders measure.")] = "emollm",
    scale: Annotated[str, typer.Option(help="toy or mini.")] = "mini",
) -> None:
    """Measure faces, voice and words over time and write them as JSON, CSV, subtitles and pictures."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from emollm import batch
    from emollm.build import encoders_key, measuring_maker

    wanted = tuple(dict.fromkeys(f.strip().lower() for f in formats.split(",") if f.strip()))
    wrong = [f for f in wanted if f not in batch.FORMATS]
    if wrong or not wanted:
        raise EmollmError(f"--formats {formats}: choose from {', '.join(batch.FORMATS)}.")
    if engine not in ENGINES:
        raise EmollmError(unknown_name("engine", engine, ENGINES))
    if "png" in wanted:
        need("matplotlib", extra="analyze")
    if engine == "ray":
        need("ray.data", extra="ray")
    paths = batch.find_clips(clips)
    key = f"{encoders_key(system, scale)}/{fps:g}{'/words' if read_words else ''}"
    maker = measuring_maker(system, scale, fps)
    if read_words:
        from emollm.chat.reading import reading_maker

        maker = reading_maker(system, scale, fps)
    columns = (TextColumn("measuring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns) as bars:
        row = bars.add_task("", total=len(paths))
        outcomes = batch.analyze_all(
            paths, out, wanted, maker, key=key, workers=workers, runner=_runner(engine, ray_address),
            progress=lambda o: bars.update(row, advance=1, description=o.path.name),
        )  # fmt: skip
    for outcome in outcomes:
        typer.echo(_line(outcome))
    failed = sum(o.status == "failed" for o in outcomes)
    typer.echo(f"{len(outcomes) - failed} of {len(outcomes)} clips in {out}; see {out / 'summary.csv'}.")
    if failed == len(outcomes):
        raise EmollmError("no clip could be measured; the reasons are above.")


def _runner(engine: str, address: str) -> Runner | None:
    if engine == "processes":
        return None
    from emollm.cluster import data

    return partial(data.run, address=address)


def _line(outcome: Outcome) -> str:
    if outcome.status == "failed":
        return f"{outcome.path.name}: FAILED: {outcome.error}"
    face = f"face {outcome.face} ({outcome.people} {'person' if outcome.people == 1 else 'people'})" if outcome.people else "no face"
    voice = f"voice {outcome.voice}" if outcome.voice else "no voice"
    joined = f"{outcome.emotion} ({outcome.confidence:.0%}): " if outcome.emotion else ""
    words = f', says "{outcome.text[:60]}"' if outcome.text else ""
    return f"{outcome.path.name}: {joined}{face}, {voice}{words}" + (" (measured before)" if outcome.status == "kept" else "")
