"""`emollm data mix`: draw from a mixture over unified files, to look at what a stage would learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def mix(
    mixture: Annotated[str, typer.Argument(help="A unified mixture of instruct_data/ by name, or a path to one.")],
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Unified JSONL files.")],
    count: Annotated[int, typer.Option(min=1, help="Samples to draw.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSONL file for the draws: source, kind, question, options, answer and sample.")] = None,
) -> None:
    """Draw samples as a stage would, write them with their questions, and tell the shares that came out."""
    import contextlib
    import json

    from emollm.data.unified_mixture import UnifiedMixture

    drawn = UnifiedMixture(mixture, paths, seed=seed)
    for note in drawn.notes:
        typer.echo(f"note: {note}")
    with out.open("w", encoding="utf-8") if out is not None else contextlib.nullcontext() as lines:
        for draw in drawn.draw(count):
            asked = draw.asked()
            if lines is not None:
                told = {
                    "source": draw.source,
                    "kind": draw.kind,
                    "question": asked.question,
                    "options": asked.options,
                    "answer": asked.answer,
                }
                lines.write(f"{json.dumps({**told, 'sample': json.loads(draw.sample.line())}, ensure_ascii=False)}\n")
    kinds = drawn.realised_kinds()
    for name, share in drawn.realised().items():
        parts = ", ".join(f"{kind} {part:.2%}" for (source, kind), part in kinds.items() if source == name)
        typer.echo(f"{name}: {share:.2%} (wanted {drawn.weights[name]:.2%}): {parts}")
    typer.echo(f"{count} draws from {len(drawn.index)} samples{f', written to {out}' if out is not None else ''}")
