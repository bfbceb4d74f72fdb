"""`emollm data annotate`: describe clips anew by a chain of agents, resumably, and merge what people decided about the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emollm.annotation.chain import Chain, Settings, Tally
    from emollm.annotation.items import Item
    from emollm.annotation.output import Written

SHOWN = 10  # samples told with the reason they are left out


def annotate(
    given: Annotated[Path | None, typer.Argument(metavar="[SAMPLES|FOLDER]", help="Unified JSONL file, or a folder of clips.")] = None,
    *,
    out: Annotated[Path, typer.Option(help="Unified JSONL file to write; a stopped run goes on with it.")],
    media: Annotated[Path | None, typer.Option(help="Folder of the media; by default the one of the samples.")] = None,
    split: Annotated[str | None, typer.Option(help="For a folder of clips: train, val or test.")] = None,
    licence: Annotated[str, typer.Option(help="For a folder of clips: their terms.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many samples.")] = None,
    guided: Annotated[bool, typer.Option("--guided", help="Tell the agents the label; refused for test samples.")] = False,
    endpoint: Annotated[str | None, typer.Option(help="OpenAI-compatible address up to /v1, for agents that are a model.")] = None,
    model: Annotated[str | None, typer.Option(help="Model id of the endpoint; by default the first it lists.")] = None,
    api_key: Annotated[str | None, typer.Option(envvar="EMOLLM_ANNOTATE_KEY", show_envvar=True, help="Key of the endpoint.")] = None,
    by_model: Annotated[
        str, typer.Option(help="Which of visual,audio,transcript,consolidator,verifier are the model; by default all but the verifier.")
    ] = "",
    send_clips: Annotated[
        bool, typer.Option("--send-clips", help="Send clips to the endpoint, not only what was measured. They show people.")
    ] = False,
    tokens: Annotated[int, typer.Option(min=16, help="Most tokens of one reply.")] = 300,
    retries: Annotated[int, typer.Option(min=0, max=10, help="How often a failed question is asked again.")] = 2,
    price_in: Annotated[float | None, typer.Option(min=0, help="Price of a million tokens sent, in any currency.")] = None,
    price_out: Annotated[float | None, typer.Option(min=0, help="Price of a million tokens received.")] = None,
    budget: Annotated[float | None, typer.Option(min=0, help="Stop once the replies on record cost this much.")] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Tell questions, tokens and cost, and stop.")] = False,
    keep_unchecked: Annotated[
        bool, typer.Option("--keep-unchecked", help="Let sentences stand that no measurement can bear out or deny.")
    ] = False,
    apply: Annotated[Path | None, typer.Option(help="Decisions saved by the review page, to be merged.")] = None,
    fps: Annotated[float, typer.Option(min=0.1, max=60, help="Frames looked at each second.")] = 8.0,
    system: Annotated[str, typer.Option(help="Recipe whose encoders measure.")] = "emollm",
    scale: Annotated[str, typer.Option(help="toy or mini.")] = "mini",
) -> None:
    """Describe clips anew by a chain of agents; every sentence is checked against what was measured."""
    from emollm.annotation import decisions as people
    from emollm.annotation.chain import Chain, Settings
    from emollm.annotation.endpoint import Prices
    from emollm.annotation.estimate import estimate as count
    from emollm.annotation.items import items_of, refuse_test
    from emollm.annotation.records import Records
    from emollm.build import encoders_key, measuring_maker
    from emollm.chat.remote import RemoteBackend
    from emollm.errors import DataError

    if given is None:
        raise DataError("nothing to annotate; give a unified JSONL file or a folder of clips, the same one with --apply.")
    if not given.is_dir() and given.resolve() == out.resolve():
        raise DataError(f"{out} would be written over its own input; give another --out.")
    items = items_of(given, media=media, split=split, licence=licence)[:limit]
    if not items:
        raise DataError(f"{given} holds no samples.")
    if guided:
        refuse_test(items)
    settings = Settings(
        encoders=f"{encoders_key(system, scale)}/{fps:g}", by_model=_agents(by_model, endpoint), guided=guided, tokens=tokens,
        retries=retries, send_clips=send_clips, prices=Prices(price_in, price_out), budget=budget,
    )  # fmt: skip
    kept = _beside(out, "decisions.jsonl")
    new = people.read_decisions(apply) if apply is not None else {}
    if strange := sorted(set(new) - {item.id for item in items}):
        raise DataError(f"{apply} decides about samples that {given} does not hold: {', '.join(strange[:5])}.")
    backend = RemoteBackend(endpoint, model=model, api_key=api_key) if endpoint is not None else None
    perception = None

    def measure(path: Path):  # type: ignore[no-untyped-def]
        nonlocal perception
        perception = perception or measuring_maker(system, scale, fps)()
        return perception.analyze(path)

    records = Records(_beside(out, "records.jsonl"))
    try:
        if records.repaired:
            typer.echo(f"{records.path}: the last line was cut in half by a crash and is taken away")
        chain = Chain(settings, records, measure, backend)
        for line in count(chain, items).lines():
            typer.echo(line)
        if estimate:
            return
        decided = people.merge(new, kept) if new or kept.is_file() else {}
        tally = None
        try:
            if apply is None:
                tally = _walk(chain, items)
        finally:
            _finish(chain, items, decided, out, keep_unchecked=keep_unchecked, tally=tally, settings=settings)
    finally:
        records.close()
        if backend is not None:
            backend.close()


def _agents(asked: str, endpoint: str | None):  # type: ignore[no-untyped-def]
    """Agents that are the model, in the order of the chain."""
    from emollm.annotation.finding import BY_MODEL
    from emollm.errors import DataError, unknown_name

    wanted = [name.strip() for name in asked.split(",") if name.strip()]
    for name in wanted:
        if name not in BY_MODEL:
            raise DataError(unknown_name("agent for a model", name, BY_MODEL))
    if wanted and endpoint is None:
        raise DataError(f"--by-model {asked} needs --endpoint, the address of an OpenAI-compatible server up to /v1.")
    if endpoint is None:
        return ()
    return tuple(name for name in BY_MODEL if name in wanted or (not wanted and name != "verifier"))


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(f"{out.name.removesuffix('.jsonl')}.{ending}")


def _walk(chain: Chain, items: list[Item]) -> Tally:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("annotating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bars:
        row = bars.add_task("", total=len(items))
        return chain.run(items, lambda _: bars.update(row, advance=1))


def _finish(chain: Chain, items: list[Item], decided, out: Path, *, keep_unchecked: bool, tally: Tally | None, settings: Settings) -> None:  # type: ignore[no-untyped-def]
    """Write what there is: samples, review page, agreement; also after a stop."""
    from emollm.annotation import agreement, review
    from emollm.annotation.output import assemble, write_lines

    written = assemble(items, chain, decided, keep_unchecked=keep_unchecked)
    write_lines(out, [sample.line() for sample in written.samples])
    found = {item.id: chain.found(item) for item in items}
    there = {sample.id for sample in written.samples}
    _beside(out, "review.html").write_text(review.page(written.samples, found, out.name), "utf-8")
    _say(chain, written, tally, out)
    labels = [item.label for item in items if item.id in there] if not settings.guided else []
    for line in agreement.lines(agreement.agreements([found[i.id] for i in items if i.id in there], labels)):
        typer.echo(line)
    typer.echo(f"to review: {_beside(out, 'review.html')}")


def _say(chain: Chain, written: Written, tally: Tally | None, out: Path) -> None:
    typer.echo(f"{out}: {len(written.samples)} sample(s), {written.reviewed} decided by people")
    if tally is not None:
        typer.echo(f"measured {tally.measured} clip(s), asked the model {tally.calls} time(s), {tally.failed} failure(s)")
        if tally.stopped:
            typer.echo(f"stopped: {tally.stopped}")
    replies = [r for r in chain.records.all() if r.kind == "model"]
    if replies:
        known = [r.cost for r in replies if r.cost is not None]
        unknown = len(replies) - len(known)
        spent = f"{sum(known):.4f}" + (f", and {unknown} of unknown cost" if unknown else "")
        sent = sum(r.prompt_tokens or 0 for r in replies), sum(r.completion_tokens or 0 for r in replies)
        typer.echo(f"replies of models on record: {len(replies)}, tokens {sent[0]} in and {sent[1]} out, cost {spent}")
        if noted := sum(bool(r.notes) for r in replies):
            typer.echo(f"{noted} of them in another form than asked; see notes in {chain.records.path}")
    for sample, why in list(written.left_out.items())[:SHOWN]:
        typer.echo(f"left out: {sample}: {why}")
    if len(written.left_out) > SHOWN:
        typer.echo(f"left out: {len(written.left_out) - SHOWN} more")
    if written.stale:
        typer.echo(f"decided about another text than stands there now, so left alone: {', '.join(written.stale[:SHOWN])}")
