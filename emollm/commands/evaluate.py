"""`emollm eval`: benchmark cards against a system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emollm.errors import EmollmError
from emollm.lazy import need

if TYPE_CHECKING:
    from emollm.evaluation.cards import AnyCard, MeasureCard, SceneCard


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
    predictions: Annotated[Path | None, typer.Option(help="Score these answers (JSON lines) instead of a system; no media needed.")] = None,
    references: Annotated[Path | None, typer.Option(help="What is true of each item (JSON lines), where no --data holds it.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write report.md and report.html into this folder of results and stop.")] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Two folders of results: paired differences, card by card.", metavar="DIR_A DIR_B")
    ] = None,
) -> None:
    """Score a system, or a file of answers, on benchmark cards; every score comes with its floors."""
    from emollm.evaluation.cards import Card, MeasureCard, SceneCard, load_card
    from emollm.evaluation.spoil import KINDS

    if _at_rest(list_cards, report, compare):
        return
    if spoil and spoil not in KINDS:
        raise EmollmError(f"--spoil {spoil}: choose from {', '.join(KINDS)}.")
    if not cards:
        raise EmollmError("give at least one card. `emollm eval --list` shows them.")
    chosen = [load_card(c) for c in cards]
    if predictions is not None:
        _answers(chosen, predictions, references, data, split, out)
        return
    _can_run(chosen, references)
    from rich.progress import Progress

    asked = [c for c in chosen if isinstance(c, Card)]
    if data is None and (lacking := [c for c in chosen if not isinstance(c, SceneCard)]):
        raise EmollmError(f"{lacking[0].name} needs --data DIR. `emollm eval --list` shows what each card is about.")
    for known in chosen:
        if isinstance(known, SceneCard | MeasureCard):
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


def _at_rest(list_cards: bool, report: Path | None, compare: tuple[Path, Path] | None) -> bool:
    """What needs no card: whether any of it was asked for, and is done."""
    if list_cards:
        typer.echo(listing())
    elif report is not None:
        from emollm.evaluation.report import write_report

        typer.echo("\n".join(f"wrote {path}" for path in write_report(report)))
    elif compare is not None:
        from emollm.evaluation import versus

        typer.echo(versus.table(versus.versus(*compare)))
    return list_cards or report is not None or compare is not None


def _can_run(cards: list[AnyCard], references: Path | None) -> None:
    """Refuses what a model cannot be put to, and says what to give instead."""
    from emollm.evaluation.cards import MeanCard, ReferenceCard
    from emollm.evaluation.predictions import wanted

    if references is not None:
        raise EmollmError("--references goes with --predictions FILE.")
    for card in cards:
        if isinstance(card, ReferenceCard | MeanCard):
            raise EmollmError(wanted(card))


def listing() -> str:
    """All cards, those that can be run here before those that need the user's own references."""
    from emollm import catalog
    from emollm.evaluation.cards import Card, MeanCard, ReferenceCard, load_card

    cards = [load_card(name) for name in catalog.names("eval")]
    theirs = [c for c in cards if isinstance(c, ReferenceCard | MeanCard)]
    lines = ["can be run here"]
    for card in cards:
        if card not in theirs:
            kind = f"{len(card.labels)} classes" if isinstance(card, Card) else "rendered "
            lines.append(f"  {card.name:<21} {card.headline:<18} {kind}  {card.about}")
    lines.append("needs your references (--predictions FILE --references FILE)")
    for card in theirs:
        what = f"mean of {len(card.members)}" if isinstance(card, MeanCard) else card.task
        lines.append(f"  {card.name:<21} {card.headline:<18} {what:<16} {card.about}")
    return "\n".join(lines)


def _answers(cards: list[AnyCard], predictions: Path, references: Path | None, data: Path | None, split: str, out: Path) -> None:
    """Cards scored from a file of answers."""
    from functools import partial

    from emollm.evaluation.answers import references_of
    from emollm.evaluation.cards import Card, MeasureCard, SceneCard
    from emollm.evaluation.predictions import run

    done = []
    for card in cards:
        if isinstance(card, SceneCard | MeasureCard):
            raise EmollmError(f"{card.name} measures tracks and units, not answers; run it without --predictions.")
        here = isinstance(card, Card) and data is not None and references is None
        given = partial(references_of, card, data, split) if isinstance(card, Card) and data is not None and here else None
        home = out if len(cards) == 1 else out / card.name
        done.append(run(card, predictions, home, references=references, given=given))
    typer.echo(answers_table(done))
    for results in done:
        for line in results["warnings"]:
            typer.echo(f"{results['card']}: {line}")


def answers_table(results: list[dict[str, Any]]) -> str:
    """Scores of files of answers as a Markdown table."""
    lines = [
        "| card | n | missing | parse rate | measure | score (95 % interval) | majority | best constant | list all | shuffled |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        key, bounds = r["headline"], r["metrics"]["interval"]
        score = f"**{r['metrics'][key]:.3f}** ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else "-"
        found = [r["floors"].get(name, {}).get(key) for name in ("majority", "best_constant", "list_all")]
        found.append((r["floors"].get("shuffled_references") or r["floors"].get("another_caption") or {}).get(key))
        rate = f"{r['parse_rate']:.3f}" if "parse_rate" in r else "-"
        floors = " | ".join("-" if f is None else f"{f:.3f}" for f in found)
        lines.append(f"| {r['card']} | {r['n']} | {r.get('missing', '-')} | {rate} | {key} | {score} | {floors} |")
    return "\n".join(lines)


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
