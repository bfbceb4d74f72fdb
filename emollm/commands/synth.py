"""`emollm synth`: clips of people who do not exist, with the exact truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import TaskID

from emollm.errors import EmollmError
from emollm.lazy import need


def synth(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="Folder for clips and truth; a stopped run goes on in it.")],
    clips: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    people: Annotated[int, typer.Option(min=1, help="Identities to draw from.")] = 200,
    persons: Annotated[str, typer.Option(help="People in one clip: a number or a range such as 1-3.")] = "1",
    seconds: Annotated[str, typer.Option(help="Length of a clip: a number or a range such as 2-12.")] = "4",
    fps: Annotated[float, typer.Option(min=1, max=120, help="Frames a second.")] = 25.0,
    size: Annotated[int, typer.Option(min=64, max=1024, help="Width and height in pixels; an even number.")] = 224,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same clips.")] = 0,
    split: Annotated[str, typer.Option(help="train or val: other people, sentences and expression families.")] = "train",
    voices: Annotated[str, typer.Option(help="espeak, none, or a folder of recordings that move the lips.")] = "espeak",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    benchmark: Annotated[
        str, typer.Option(help="A frozen set such as synth-fec: all options but --out, --split, --workers are its own.")
    ] = "",
    audit: Annotated[bool, typer.Option("--audit", help="Also let networks that never saw a render judge the people; audit.json.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Also write preview.png, one frame of each of the first 48 clips.")] = False,
) -> None:
    """Render synthetic people: MP4 clips, truth.jsonl, and a truth file a clip with every action unit at every frame."""
    need("numba", extra="synth")
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from emollm.synth.clip import Settings
    from emollm.synth.dataset import contact_sheet, make

    if split not in ("train", "val"):
        raise EmollmError(f"--split is train or val, not {split!r}.")
    if size % 2:
        raise EmollmError(f"--size {size}: video needs an even number of pixels.")
    low, high = _range(persons, "--persons", whole=True)
    if not 1 <= low <= high <= 6:
        raise EmollmError(f"--persons {persons}: between 1 and 6 people fit into a clip.")
    if voices not in ("espeak", "none") and not Path(voices).is_dir():
        raise EmollmError(f"--voices {voices}: give espeak, none, or an existing folder of recordings.")
    frozen = None
    if benchmark:
        from emollm.synth.benchmark import benchmark as look_up
        from emollm.synth.benchmark import verdict

        given = {name: context.get_parameter_source(name) for name in _FIXED}
        fixed = [f"--{name}" for name, source in given.items() if source is not None and source.name != "DEFAULT"]
        if fixed:
            raise EmollmError(f"--benchmark {benchmark} fixes {', '.join(fixed)}: leave them out.")
        frozen = look_up(benchmark, "val" if split == "val" else "train")
        clips = frozen.clips
    settings = frozen.settings if frozen else Settings(
        seed=seed, people=people, persons=(int(low), int(high)), seconds=_range(seconds, "--seconds"), fps=fps, size=size,
        voices=voices, split="val" if split == "val" else "train",
    )  # fmt: skip
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bars:
        row = bars.add_task("clips", total=clips)
        table = make(out, settings, clips, workers=workers, progress=lambda done, of: bars.update(row, completed=done, total=of))
    typer.echo(f"{clips} clips in {out}; their truth is {table}.")
    if frozen is not None:
        typer.echo(verdict(frozen, out))
    if preview:
        typer.echo(f"Preview: {contact_sheet(out)}")
    if audit:
        typer.echo(_audit(out))


_FIXED = ("clips", "people", "persons", "seconds", "fps", "size", "seed", "voices")


def _audit(out: Path) -> str:
    import json

    from rich.progress import Progress

    from emollm import weights
    from emollm.synth.audit import audit, report

    for name in ("face-expression", "faceres"):
        weights.ensure(name)
    with Progress() as bars:
        rows: dict[str, TaskID] = {}

        def say(what: str, share: float) -> None:
            if what not in rows:
                rows[what] = bars.add_task(what, total=1.0)
            bars.update(rows[what], completed=share)

        found = audit(out, say=say)
    (out / "audit.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return report(found)


def _range(text: str, option: str, *, whole: bool = False) -> tuple[float, float]:
    low, _, high = text.partition("-")
    try:
        found = float(low), float(high or low)
    except ValueError:
        raise EmollmError(f"{option} {text}: give a number, or two joined by a hyphen.") from None
    if found[0] <= 0 or found[1] < found[0] or (whole and any(v % 1 for v in found)):
        raise EmollmError(f"{option} {text}: the first number must be above 0 and not above the second.")
    return found
