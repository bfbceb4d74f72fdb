"""`emollm eval`: benchmark cards against a system."""

from __future__ import annotations

from dataclasses import dataclass
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
    probe_items: Annotated[int | None, typer.Option(help="Training items the probe floor may see; 0 leaves it out.")] = None,
    spoil: Annotated[str, typer.Option(help="Make pictures worse first: blur, dark, small or covered.")] = "",
    out: Annotated[Path, typer.Option(help="Results go to OUT/CARD, or to OUT itself for one card.")] = Path("runs/eval"),
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Score these answers (JSON lines) instead of a system; no media needed.")] = None,
    references: Annotated[Path | None, typer.Option(help="What is true of each item (JSON lines), where no --data holds it.")] = None,
    judge: Annotated[str | None, typer.Option(help="Judge captions again beside the rules: rules, embedding or endpoint.")] = None,
    judge_url: Annotated[str | None, typer.Option(help="Of an OpenAI-compatible endpoint, up to and with /v1.")] = None,
    judge_model: Annotated[
        str | None, typer.Option(help="Its model id; for the judge `embedding` a folder with a sentence encoder.")
    ] = None,
    judge_records: Annotated[Path | None, typer.Option(help="Every request and reply of the judge goes here (JSON lines).")] = None,
    check_judge: Annotated[int | None, typer.Option(help="Hold the judge against so many made-up pairs with a known key and stop.")] = None,
    replay: Annotated[bool, typer.Option("--replay", help="Judge from --judge-records alone and ask nobody.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write report.md and report.html into this folder of results and stop; with --data, pictures of the worst items."
        ),
    ] = None,
    leaderboard: Annotated[Path | None, typer.Option(help="Write the page of published numbers to this file and stop.")] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Two folders of results: paired differences, card by card.", metavar="DIR_A DIR_B")
    ] = None,
) -> None:
    """Score a system, or a file of answers, on benchmark cards; every score comes with its floors."""
    from emollm.evaluation.cards import MeasureCard, SceneCard, TalkCard, load_card
    from emollm.evaluation.spoil import KINDS
    from emollm.evaluation.tables import table

    if _at_rest(list_cards, report, compare, leaderboard, data):
        return
    judging = Judging(judge, judge_url, judge_model, judge_records, replay)
    if check_judge is not None:
        typer.echo(judging.checked(check_judge))
        return
    if spoil and spoil not in KINDS:
        raise EmollmError(f"--spoil {spoil}: choose from {', '.join(KINDS)}.")
    if not cards:
        raise EmollmError("give at least one card. `emollm eval --list` shows them.")
    chosen = [load_card(c) for c in cards]
    homes = {c.name: out if len(chosen) == 1 else out / c.name for c in chosen}
    if predictions is not None:
        _answers(chosen, predictions, references, data, split, homes)
        judging.scores(homes)
        return
    _can_run(chosen, references)
    if data is None and (lacking := [c for c in chosen if not isinstance(c, SceneCard | TalkCard)]):
        raise EmollmError(f"{lacking[0].name} needs --data DIR. `emollm eval --list` shows what each card is about.")
    for known in chosen:
        if isinstance(known, SceneCard | MeasureCard):
            _known(known, system, scale, data, homes[known.name], limit)
            _sign(homes[known.name], system, None)
    asked = [c for c in chosen if not isinstance(c, SceneCard | MeasureCard)]
    if not asked:
        return
    backend = _backend(system, scale, adapters, endpoint, threads, heads=heads)
    options = Asking(data or Path(), split, limit, probe_items, spoil)
    done = []
    for card in asked:
        done.append(_ask(card, backend, options, homes[card.name]))
        _sign(homes[card.name], system, endpoint)
    typer.echo(table(done))
    judging.scores(homes)


@dataclass(frozen=True, slots=True)
class Asking:
    """How cards are put to a system."""

    data: Path
    split: str
    limit: int | None
    probe_items: int | None
    spoil: str


def _backend(system: str, scale: str, adapters: Path | None, endpoint: str | None, threads: int | None, *, heads: bool) -> Any:
    if endpoint is not None:
        from emollm.chat.remote import RemoteBackend

        return RemoteBackend(endpoint)
    if heads:
        return _heads(system, scale, adapters)
    from emollm import load

    return load(system, scale=scale, threads=threads, adapters=adapters)


def _system_name(system: str) -> str:
    return Path(system).stem.replace("_", "-") if system.endswith(".toml") else system


def _sign(home: Path, system: str, endpoint: str | None) -> None:
    """Say in the results which recipe answered; what stands behind an endpoint is not known here, so its address is told instead."""
    from emollm.evaluation.results import sign
    from emollm.recipe import load_recipe

    if endpoint is not None:
        sign(home, endpoint=endpoint)
    elif system != "echo":  # which needs no recipe
        sign(home, recipe_hash=load_recipe(system).hash)


def _ask(card: AnyCard, backend: Any, how: Asking, home: Path) -> dict[str, Any]:
    """One card put to a backend, with a bar for it and for each of its members."""
    from emollm.commands.progress import told_progress
    from emollm.evaluation.cards import Card, FecCard, GroupCard, PairCard, SupportCard, TalkCard
    from emollm.evaluation.dialogues import evaluate_support
    from emollm.evaluation.fec import evaluate_fec
    from emollm.evaluation.group import run_group
    from emollm.evaluation.pairs import evaluate_pairs
    from emollm.evaluation.runner import evaluate as run
    from emollm.evaluation.talks import evaluate_talks

    with told_progress() as teller:

        def one(member: Card, out: Path, limit: int | None = how.limit, probe: int = 1500) -> dict[str, Any]:
            probe = how.probe_items if how.probe_items is not None else probe
            return run(
                member, backend, how.data, out, split=how.split, limit=limit, probe_items=probe, spoiled=how.spoil,
                progress=teller(member.name),
            )  # fmt: skip

        if isinstance(card, GroupCard):
            return run_group(card, home, backend.system, lambda m, out: one(m, out, how.limit or card.limit, card.probe_items))
        if isinstance(card, PairCard):
            return evaluate_pairs(card, backend, how.data, home, split=how.split, limit=how.limit, progress=teller(card.name))
        if isinstance(card, SupportCard):
            similar = _similarity()
            return evaluate_support(card, backend, how.data, home, limit=how.limit, similarity=similar, progress=teller(card.name))
        if isinstance(card, TalkCard):
            return evaluate_talks(
                card.file, backend, home, card=card.name, version=card.version, limit=how.limit, progress=teller(card.name)
            )
        if isinstance(card, FecCard):
            return evaluate_fec(card, backend, how.data, home, limit=how.limit, progress=teller(card.name))
        assert isinstance(card, Card)
        return one(card, home)


def _similarity() -> Any:
    """Likeness of texts by the packaged sentence encoder, or None where it is not installed."""
    from emollm.evaluation.judges.embedding import find_encoder, likeness

    folder = find_encoder()
    return None if folder is None else likeness(folder)


@dataclass(frozen=True, slots=True)
class Judging:
    """Another judge of captions beside the rules, if one was asked for."""

    name: str | None
    url: str | None
    model: str | None
    records: Path | None
    replay: bool

    def made(self) -> Any:
        """The judge itself; the rules where none is named."""
        from emollm.evaluation.judges import judge_of

        return judge_of(self.name or "rules", url=self.url, model=self.model, records=self.records, replay=self.replay)

    def checked(self, count: int) -> str:
        """How the judge does on pairs with a key."""
        from emollm.evaluation.judges.check import check, pairs

        judge = self.made()
        found = check(judge, pairs(count))
        kinds = ", ".join(f"{kind} {share:.1%}" for kind, share in found.by_kind.items())
        return f"{judge.name}: {found.n} pairs, {found.agreement:.1%} as the key says, kappa {found.kappa:.3f}; {kinds}"

    def scores(self, homes: dict[str, Path]) -> None:
        """Judge the captions of every card that has some, and say how far the judge and the rules agree."""
        if self.name is None:
            return
        from emollm.evaluation.judges import judge_results
        from emollm.evaluation.judges.overlap import Overlaps, overlap_results, overlap_table
        from emollm.evaluation.judges.scoring import judged_table

        judge = self.made()
        found = [row for home in homes.values() for row in judge_results(judge, home)]
        shared = [row for home in homes.values() for row in overlap_results(judge, home)] if isinstance(judge, Overlaps) else []
        if not found and not shared:
            raise EmollmError(
                "--judge is for cards of captions with events, such as fec-bench and synth-fec; --judge endpoint also for free "
                'descriptions, such as emer, where the references have "captions".'
            )
        typer.echo("\n\n".join([*([judged_table(found)] if found else []), *([overlap_table(shared)] if shared else [])]))


def _at_rest(list_cards: bool, report: Path | None, compare: tuple[Path, Path] | None, leaderboard: Path | None, data: Path | None) -> bool:
    """What needs no card: whether any of it was asked for, and is done."""
    if list_cards:
        from emollm.evaluation.tables import listing

        typer.echo(listing())
    elif report is not None:
        from emollm.evaluation.report import write_report

        typer.echo("\n".join(f"wrote {path}" for path in write_report(report, data)))
    elif compare is not None:
        from emollm.evaluation import versus

        typer.echo(versus.table(versus.versus(*compare)))
    elif leaderboard is not None:
        from emollm.evaluation.leaderboard import page

        leaderboard.write_text(page(), "utf-8")
        typer.echo(f"wrote {leaderboard}")
    return list_cards or report is not None or compare is not None or leaderboard is not None


def _can_run(cards: list[AnyCard], references: Path | None) -> None:
    """Refuses what a model cannot be put to, and says what to give instead."""
    from emollm.evaluation.cards import MeanCard, ReferenceCard
    from emollm.evaluation.predictions import wanted

    if references is not None:
        raise EmollmError("--references goes with --predictions FILE.")
    for card in cards:
        if isinstance(card, ReferenceCard | MeanCard):
            raise EmollmError(wanted(card))


def _answers(
    cards: list[AnyCard], predictions: Path, references: Path | None, data: Path | None, split: str, homes: dict[str, Path]
) -> None:  # fmt: skip
    """Cards scored from a file of answers."""
    from emollm.evaluation.cards import MeasureCard, SceneCard, TalkCard
    from emollm.evaluation.given import score_answers
    from emollm.evaluation.tables import answers_table

    done = []
    for card in cards:
        if isinstance(card, SceneCard | MeasureCard):
            raise EmollmError(f"{card.name} measures tracks and units, not answers; run it without --predictions.")
        if isinstance(card, TalkCard):
            raise EmollmError(f"{card.name} is a conversation: what is said next hangs on the answer before. Run it without --predictions.")
        done.append(score_answers(card, predictions, homes[card.name], references=references, data=data, split=split))
    typer.echo(answers_table(done))
    for results in done:
        for line in results["warnings"]:
            typer.echo(f"{results['card']}: {line}")


def _heads(system: str, scale: str, adapters: Path | None) -> Any:
    from emollm.build import build_perception, encoders_key
    from emollm.evaluation.heads import HeadsBackend

    perception = build_perception(system, scale, adapters, transcribe=False)
    return HeadsBackend(perception, system=system, scale=scale, version=encoders_key(system, scale, adapters))


def _known(card: SceneCard | MeasureCard, system: str, scale: str, data: Path | None, out: Path, limit: int | None) -> None:
    """Cards whose truth is known because it was rendered."""
    from emollm.build import measuring_maker
    from emollm.commands.progress import told_progress
    from emollm.evaluation.cards import SceneCard
    from emollm.evaluation.measures import evaluate_measures, measures_table
    from emollm.evaluation.scenes import evaluate_scenes, scenes_table

    named = f"{_system_name(system)} encoders"
    with told_progress() as teller:
        tell = teller(card.name)
        perception = measuring_maker(system, scale, 8.0)()
        if isinstance(card, SceneCard):
            need("numba", extra="synth")
            text = scenes_table(evaluate_scenes(card, perception, out, limit=limit, system=named, scale=scale, progress=tell))
        else:
            assert data is not None
            text = measures_table(evaluate_measures(card, perception, data, out, limit=limit, system=named, scale=scale, progress=tell))
    typer.echo(text)
