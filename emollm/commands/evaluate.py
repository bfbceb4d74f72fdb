"""`emollm eval`: benchmark cards against a system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emollm.errors import EmollmError
from emollm.lazy import need

if TYPE_CHECKING:
    from emollm.evaluation.cards import MeasureCard, SceneCard


def evaluate(
    cards: Annotated[list[str] | None, typer.Argument(help="Cards by name, or paths to .toml files.")] = None,
    *,
    list_cards: Annotated[bool, typer.Option("--list", help="List the cards and stop.")] = False,
    system: Annotated[str, typer.Option(help="Recipe name, or a path to a .toml.")] = "emollm",
    scale: Annotated[str, typer.Option(help="toy or mini.")] = "mini",
    adapters: Annotated[Path | None, typer.Option(help="Folder of trained adapters; the shipped ones if not given.")] = None,
    heads: Annotated[bool, typer.Option("--heads", help="Score the encoders' own verdicts instead of the language model's.")] = False,
    endpoint: Annotated[str | None, typer.Option(help="Score an emollm server at this URL instead, e.g. http://127.0.0.1:8000/v1.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with index.jsonl.")] = None,
    split: Annotated[str, typer.Option(help="Which items are asked about.")] = "val",
    limit: Annotated[int | None, typer.Option(help="Only so many items.")] = None,
    probe_items: Annotated[int, typer.Option(help="Training items the probe floor may see; 0 leaves it out.")] = 1500,
    spoil: Annotated[str, typer.Option(help="Make pictures worse first: blur, dark, small or covered.")] = "",
    out: Annotated[Path, typer.Option(help="Results go to OUT/CARD, or to OUT itself for one card.")] = Path("runs/eval"),
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
) -> None:
    """Score a system on benchmark cards; every score comes with its floors."""
    from emollm import catalog
    from emollm.evaluation.cards import Card, SceneCard, load_card
    from emollm.evaluation.spoil import KINDS

    if list_cards:
        for name in catalog.names("eval"):
            card = load_card(name)
            kind = f"{len(card.labels)} classes" if isinstance(card, Card) else "rendered "
            typer.echo(f"{card.name:<15} {card.headline:<18} {kind}  {card.about}")
        return
    if spoil and spoil not in KINDS:
        raise EmollmError(f"--spoil {spoil}: choose from {', '.join(KINDS)}.")
    if not cards:
        raise EmollmError("give at least one card. `emollm eval --list` shows them.")
    chosen = [load_card(c) for c in cards]
    from rich.progress import Progress

    asked = [c for c in chosen if isinstance(c, Card)]
    if data is None and (lacking := [c for c in chosen if not isinstance(c, SceneCard)]):
        raise EmollmError(f"{lacking[0].name} needs --data DIR. `emollm eval --list` shows what each card is about.")
    for known in chosen:
        if not isinstance(known, Card):
            _known(known, system, scale, data, out if len(chosen) == 1 else out / known.name, limit)
    if not asked or data is None:
        return

    from emollm import load
    from emollm.evaluation.runner import evaluate as run

    backend: Any
    if endpoint is not None:
        from emollm.chat.remote import RemoteBackend

        backend = RemoteBackend(endpoint)
    elif heads:
        backend = _heads(system, scale, adapters)
    else:
        backend = load(system, scale=scale, threads=threads, adapters=adapters)
    done = []
    with Progress() as bars:
        for card in asked:
            row = bars.add_task(card.name, total=None)
            home = out if len(chosen) == 1 else out / card.name

            def tell(n: int, of: int, row: Any = row) -> None:
                bars.update(row, completed=n, total=of)

            done.append(run(card, backend, data, home, split=split, limit=limit, probe_items=probe_items, spoiled=spoil, progress=tell))
    typer.echo(table(done))


def _heads(system: str, scale: str, adapters: Path | None) -> Any:
    from emollm.build import build_perception, encoders_key
    from emollm.evaluation.heads import HeadsBackend

    perception = build_perception(system, scale, adapters, transcribe=False)
    return HeadsBackend(perception, system=system, scale=scale, version=encoders_key(system, scale, adapters))


def _known(card: SceneCard | MeasureCard, system: str, scale: str, data: Path | None, out: Path, limit: int | None) -> None:
    """Cards whose truth is known because it was rendered."""
    from rich.progress import Progress

    from emollm.build import measuring_maker
    from emollm.evaluation.cards import SceneCard
    from emollm.evaluation.measures import evaluate_measures, measures_table
    from emollm.evaluation.scenes import evaluate_scenes, scenes_table

    with Progress() as bars:
        row = bars.add_task(card.name, total=None)

        def tell(n: int, of: int) -> None:
            bars.update(row, completed=n, total=of)

        perception = measuring_maker(system, scale, 8.0)()
        if isinstance(card, SceneCard):
            need("numba", extra="synth")
            text = scenes_table(evaluate_scenes(card, perception, out, limit=limit, progress=tell))
        else:
            assert data is not None
            text = measures_table(evaluate_measures(card, perception, data, out, limit=limit, progress=tell))
    typer.echo(text)


def table(results: list[dict[str, Any]]) -> str:
    """Results as a Markdown table, as in docs/results.md."""
    lines = ["| card | split | n | measure | score (95 % interval) | majority | probe |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for r in results:
        key = r["headline"]
        low, high = r["metrics"]["interval"]
        best = r["floors"].get("probe") or r["floors"].get("words_probe")
        probe = f"{best[key]:.3f}" if best else "-"
        lines.append(
            f"| {r['card']} | {r['split']} | {r['n']} | {key} | **{r['metrics'][key]:.3f}** ({low:.3f} to {high:.3f}) "
            f"| {r['floors']['majority'][key]:.3f} | {probe} |"
        )
    return "\n".join(lines)
