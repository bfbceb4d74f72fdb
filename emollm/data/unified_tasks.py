"""A drawn unified sample and what was seen of its media to a conversation to learn from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from emollm.data.asking import View
from emollm.data.conversation import ClipView, Turn
from emollm.data.corpus import Item
from emollm.data.features import Seen
from emollm.data.schema import UnifiedSample
from emollm.data.tasks import Sample, join
from emollm.data.unified_mixture import Draw
from emollm.recipe import Recipe

_AUDIBLE = ("voice", "speech", "audio")  # sources of streams that hear; all others see
_OF_THE_CLIP = ("reason", "think")  # kinds, beside descriptions, that mean nothing where nothing was seen or heard


def heard_streams(recipe: Recipe) -> frozenset[str]:
    """Names of the streams that hear."""
    return frozenset(s.name for s in recipe.streams if not s.fuse and (s.source or s.name) in _AUDIBLE)


def to_sample(draw: Draw, items: Sequence[Item], seen: Mapping[str, Seen], heard: Collection[str]) -> Sample | None:
    """The conversation of a draw; None where there is nothing left to answer from.

    Args:
        draw: What is asked of which sample.
        items: Its media.
        seen: Item id -> what was seen; media in which nothing was found are not in it.
        heard: Streams that hear.
    """
    words = draw.sample.transcript if "words" in draw.inputs else None
    found = [shown for i in items if i.id in seen and (shown := _narrowed(seen[i.id], draw.inputs, heard)) is not None]
    if not found:
        if draw.kind.startswith("describe-") or draw.kind in _OF_THE_CLIP or not (words or draw.sample.history):
            return None
        return Sample(_turns(draw, None, words, "text"), task=draw.kind)
    one = found[0] if len(found) == 1 else join(found[0], found[1])
    return Sample(_turns(draw, replace(one.view, words=words), None, draw.view), one.features, task=draw.kind)


def _narrowed(seen: Seen, inputs: Collection[str], heard: Collection[str]) -> Seen | None:
    """Without the streams of what is not to be shown; None where none is left."""
    kept = {n: rows for n, rows in seen.features.items() if ("sound" if n in heard else "picture") in inputs}
    if not kept:
        return None
    view = seen.view
    told: ClipView = replace(
        view,
        kind="audio" if "picture" not in inputs else view.kind,
        tokens={n: count for n, count in view.tokens.items() if n in kept},
        marks_s={n: marks for n, marks in view.marks_s.items() if n in kept},
        cues={n: cues for n, cues in view.cues.items() if ("sound" if n in heard else "picture") in inputs},
        persons=view.persons if "picture" in inputs else 0,
    )
    return replace(seen, view=told, features=kept)


def _turns(draw: Draw, view: ClipView | None, words: str | None, seen_as: View) -> tuple[Turn, ...]:
    """The history, the question with the clip, the answer; a question after words of the user goes into the same turn."""
    asked = draw.asked(seen_as)
    turns = [Turn(t.role, t.text) for t in draw.sample.history]
    lines = [turns.pop().text] if turns and turns[-1].role == "user" else []
    lines += [_line(draw.sample, words)] if words else []
    question = "\n".join([*lines, asked.question])
    return (*turns, Turn("user", question, clip=view), Turn("assistant", asked.answer, learn=True))


def _line(sample: UnifiedSample, words: str) -> str:
    """A transcript that stands alone, as a line of dialogue."""
    return f"{(sample.speaker or 'A').split(':')[-1].split('/')[-1]}: {words}"
