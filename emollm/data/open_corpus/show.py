"""A sample as a person reads it: what is there to see and hear, what is asked, and what is to be answered."""

from __future__ import annotations

import random
from pathlib import Path

from emollm.data.schema import Task, UnifiedSample, parse_sample


def drawn(path: Path, count: int, seed: int) -> list[UnifiedSample]:
    """Some samples of a file at random, by one pass and in file order."""
    rng = random.Random(seed)
    kept: list[tuple[int, str]] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if len(kept) < count:
                kept.append((number, line))
            elif (place := rng.randrange(number + 1)) < count:
                kept[place] = (number, line)
    return [parse_sample(line) for _, line in sorted(kept)]


def told(sample: UnifiedSample) -> str:
    """The sample in some lines."""
    lines = [f"{sample.id}  [{sample.level}, {sample.split}]"]
    lines += [f"  {kind}: {path}" for kind, path in sample.media if path is not None]
    for turn in sample.history:
        lines += [f"  {turn.role}: {row}" for row in turn.text.splitlines()]
    if sample.transcript is not None:
        lines.append(f"  words{f' ({sample.language})' if sample.language else ''}: {sample.transcript}")
    for task in sample.tasks:
        lines += _task(task, sample)
    return "\n".join(lines)


def _task(task: Task, sample: UnifiedSample) -> list[str]:
    if task.type == "question":
        return [f"  ? {task.question}", f"  > {task.answer}"]
    if task.type == "reason" and sample.descriptions.multimodal is not None:
        return [f"  reason > {sample.descriptions.multimodal.text}"]
    if task.type == "describe":
        return [f"  describe {name} > {getattr(sample.descriptions, name).text}" for name in sample.descriptions.given()]
    if task.type == "empathy":
        chain = sample.chain_of_empathy
        steps = [f"  chain: {chain.event} {chain.emotion} {chain.cause} {chain.goal}"] if chain is not None else []
        return [*steps, f"  reply > {sample.reply}"]
    if task.type == "valence" and task.scale is not None:
        return [f"  valence > {task.value:g} of {task.scale[0]:g} to {task.scale[1]:g}"]
    return [f"  {task.type} > {task.label or ', '.join(task.labels)}" + (f"  (of {', '.join(task.label_set)})" if task.label_set else "")]
