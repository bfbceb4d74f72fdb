"""A unified sample and one of its tasks to a question, its options and the wanted answer: the one place where tasks become words.

A kind is what may be asked of a task: mostly its type, but a description is asked for by what it describes, a label task may want the
reasons first ("think"), and a reply may come with its chain. Nothing here knows of clips, mixtures or models.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from emollm.data.chains import write_chain, write_thought
from emollm.data.prompts import worded, wordings
from emollm.data.schema import DESCRIBED, Task, TaskType, UnifiedSample
from emollm.errors import DataError

Kind = Literal[
    "emotion",
    "sentiment",
    "valence",
    "multi-label",
    "open-vocabulary",
    "intent",
    "reason",
    "think",
    "describe-audio",
    "describe-visual",
    "describe-units",
    "describe-facial",
    "describe-multimodal",
    "question",
    "empathy",
    "empathy-chain",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
View = Literal["clip", "face", "voice", "text"]
THOUGHT_OF: tuple[TaskType, ...] = (
    "emotion",
    "sentiment",
    "intent",
    "multi-label",
    "open-vocabulary",
)  # tasks whose answer may come after its reasons


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it is put, the labels it offers in their order, and the answer."""

    question: str
    options: tuple[str, ...]
    answer: str


def kinds_of(types: Iterable[str], described: Iterable[str], *, chain: bool) -> tuple[Kind, ...]:
    """What may be asked of a sample with tasks of these types, these descriptions, and perhaps a chain of empathy."""
    there, written = set(types), set(described)
    found: set[str] = there & {"question", "reason", "empathy", "valence", *THOUGHT_OF}
    if "describe" in there:
        found |= {f"describe-{name}" for name in written}
    if "multimodal" in written and "reason" in there and there & set(THOUGHT_OF):
        found.add("think")
    if "empathy" in there and chain:
        found.add("empathy-chain")
    return tuple(kind for kind in KINDS if kind in found)


def kinds(sample: UnifiedSample) -> tuple[Kind, ...]:
    """What may be asked of a sample."""
    return kinds_of((t.type for t in sample.tasks), sample.descriptions.given(), chain=sample.chain_of_empathy is not None)


def tasks_for(kind: Kind, sample: UnifiedSample) -> tuple[Task, ...]:
    """The tasks of a sample that a kind may be asked of."""
    if kind == "think":
        return tuple(t for t in sample.tasks if t.type in THOUGHT_OF)
    wanted = "describe" if kind.startswith("describe-") else "empathy" if kind == "empathy-chain" else kind
    return tuple(t for t in sample.tasks if t.type == wanted)


def usual_kind(task: Task, sample: UnifiedSample) -> Kind:
    """The kind a task is asked as where nobody says: a chain where there is one, the first description there is."""
    if task.type == "describe":
        return next(k for k in KINDS if k.startswith("describe-") and k.removeprefix("describe-") in sample.descriptions.given())
    if task.type == "empathy":
        return "empathy" if sample.chain_of_empathy is None else "empathy-chain"
    return task.type


def view_of(sample: UnifiedSample) -> View:
    """What there is to perceive of a sample."""
    media = sample.media
    return "clip" if media.video or (media.image and media.audio) else "face" if media.image else "voice" if media.audio else "text"


def ask(
    task: Task,
    sample: UnifiedSample,
    *,
    variant: int = 0,
    rng: random.Random | None = None,
    kind: Kind | None = None,
    view: View | None = None,
) -> Asked:
    """Put a task into words.

    Args:
        task: One of the sample's tasks.
        sample: Where the answers stand that the task does not hold itself.
        variant: Which wording; any number.
        rng: Shuffles the labels, in training; None keeps their order, in evaluation.
        kind: As what the task is asked.
        view: What is perceived of the sample, where that is less than there is.

    Raises:
        DataError: If the sample cannot be asked that.
    """
    kind, view = kind or usual_kind(task, sample), view or view_of(sample)
    if task not in tasks_for(kind, sample) or kind not in kinds(sample):
        raise DataError(f"sample {sample.id!r} cannot be asked {kind!r} of its task {task.type!r}; it can be asked: {_list(kinds(sample))}")
    if kind == "question":
        return Asked(task.question or "", (), task.answer or "")
    options = list(task.label_set)
    if rng is not None:
        rng.shuffle(options)
    if kind == "think":
        plain = worded(wordings(task.type, view), variant, options)
        # The two pools have other lengths, so that one number goes through many pairs.
        question = f"{plain} {worded(wordings('think', view), variant // 3)}"
        return Asked(question, tuple(options), write_thought(_described("multimodal", sample), _label(task)))
    low, high = task.scale or (0.0, 0.0)
    question = worded(wordings(kind, view), variant, options, low=f"{low:g}", high=f"{high:g}")
    return Asked(question, tuple(options), _answer(kind, task, sample))


def _answer(kind: Kind, task: Task, sample: UnifiedSample) -> str:
    if kind == "valence":
        return f"{task.value:.2f}"
    if kind == "reason":
        return _described("multimodal", sample)
    if kind.startswith("describe-"):
        return _described(kind.removeprefix("describe-"), sample)
    if kind == "empathy-chain" and sample.chain_of_empathy is not None:
        return write_chain(sample.chain_of_empathy, sample.reply or "")
    if kind == "empathy":
        return sample.reply or ""
    return _label(task)


def _label(task: Task) -> str:
    """The label, or the labels in the order of their set, so that how they were written down teaches nothing."""
    if task.label is not None:
        return task.label
    return ", ".join(sorted(task.labels, key=task.label_set.index) if task.label_set else task.labels)


def _described(part: str, sample: UnifiedSample) -> str:
    assert part in DESCRIBED
    found = getattr(sample.descriptions, part)
    return str(found.text) if found is not None else ""


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"
