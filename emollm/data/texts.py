"""Dialogues and remarks in words to samples: which emotion a line expresses, and how to answer with care."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from emollm.data.conversation import Turn
from emollm.data.corpus import Item
from emollm.data.prompts import label_question, pools
from emollm.data.tasks import Sample

CONTEXT_LINES = 3  # lines of dialogue shown before the one in question
FOLLOWED_LINES = 7  # lines asked about after the first, in one sample
FOLLOWED_REMARKS = 9  # the same for remarks that have nothing to do with each other


def recognise_text(lines: Sequence[Item], options: Sequence[str], rng: random.Random, *, variant: int | None = None) -> Sample:
    """Which emotion does the last of some lines of dialogue express?"""
    shuffled = rng.sample(list(options), len(options)) if variant is None else list(options)
    question = label_question(shuffled, kind="text", variant=rng.randrange(100) if variant is None else variant)
    return Sample((Turn("user", f"{dialogue_text(lines)}\n{question}"), Turn("assistant", a_label(lines[-1], rng), learn=True)))


def recognise_dialogue(lines: Sequence[Item], options: Sequence[str], rng: random.Random) -> Sample:
    """One dialogue, asked about line by line: the first question is that of `recognise_text`, the others add a line each.

    The lines before are read once for all answers, which costs a third of asking about every line alone.
    """
    start = rng.randrange(max(1, len(lines) - FOLLOWED_LINES))
    known = rng.randint(1, CONTEXT_LINES + 1)
    first = recognise_text(lines[start : start + known], options, rng)
    turns = list(first.turns)
    again = rng.choice(pools("recognise")["again"])
    for line in lines[start + known : start + known + FOLLOWED_LINES]:
        turns += [Turn("user", f"{dialogue_text([line])}\n{again}"), Turn("assistant", line.label or "", learn=True)]
    return Sample(tuple(turns))


def recognise_remarks(remarks: Sequence[Item], options: Sequence[str], rng: random.Random) -> Sample:
    """Unrelated remarks under one list of options; one with several labels is answered with any of them, each as often as the others.

    A long list of options is read once for all of them: with 28 labels it is longer than the remarks.
    """
    shuffled = rng.sample(list(options), len(options))
    question = label_question(shuffled, kind="text", variant=rng.randrange(100))
    again = rng.choice(pools("recognise")["again"])
    turns: list[Turn] = []
    for remark in remarks[: FOLLOWED_REMARKS + 1]:
        asked = again if turns else question
        turns += [Turn("user", f"{dialogue_text([remark])}\n{asked}"), Turn("assistant", a_label(remark, rng), learn=True)]
    return Sample(tuple(turns))


def a_label(item: Item, rng: random.Random) -> str:
    """The label of an item, or one of several."""
    return str(rng.choice(item.extra.get("labels") or [item.label or ""]))


def dialogue_text(lines: Sequence[Item]) -> str:
    """Lines with their speakers' names, one a row, each cut to what carries feeling."""
    return "\n".join(f"{(line.speaker or '').split(':')[-1]}: {(line.text or '')[:240]}" for line in lines)


def dialogues(items: Sequence[Item]) -> list[list[Item]]:
    """Lines grouped by their dialogue, in the order they were said."""
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[item.extra.get("dialogue", item.id)].append(item)
    for lines in found.values():
        lines.sort(key=lambda i: i.extra.get("turn", 0))
    return list(found.values())


def with_context(items: Sequence[Item]) -> dict[str, list[Item]]:
    """Item id -> the item with the lines of its dialogue that come before it."""
    found = {}
    for lines in dialogues(items):
        for i, line in enumerate(lines):
            found[line.id] = lines[max(0, i - CONTEXT_LINES) : i + 1]
    return found


_USEFUL = {"Reflection of feelings", "Affirmation and Reassurance", "Restatement or Paraphrasing", "Providing Suggestions", "Questions"}


def care(item: Item, rng: random.Random) -> Sample | None:
    """One caring reply of a support dialogue with the turns before it; None where no reply is worth learning."""
    turns: list[tuple[str, str, str | None]] = []
    for t in item.extra.get("turns", []):
        role = "user" if t["role"] == "seeker" else "assistant"
        text = t["text"].strip()
        if turns and turns[-1][0] == role:
            turns[-1] = (role, f"{turns[-1][1]} {text}", t["strategy"] or turns[-1][2])
        else:
            turns.append((role, text, t["strategy"]))
    good = [i for i, (role, text, plan) in enumerate(turns) if role == "assistant" and plan in _USEFUL and 60 < len(text) < 320 and i > 0]
    if not good:
        return None
    at = rng.choice(good)
    first = max(0, at - rng.choice((1, 3)))
    kept = turns[first : at + 1]
    if kept[0][0] == "assistant":
        kept = kept[1:]
    return Sample(tuple(Turn(role, text[:400], learn=i == len(kept) - 1) for i, (role, text, _) in enumerate(kept)))  # type: ignore[arg-type]


_FEELINGS = {
    "sad": ("sadness", "grief", "disappointment", "remorse"),
    "angry": ("anger", "annoyance"),
    "fear": ("fear", "nervousness"),
    "happy": ("joy", "excitement", "gratitude", "relief"),
    "surprise": ("surprise",),
    "disgust": ("disgust",),
    "neutral": ("neutral",),
}


def feeling(item: Item, rng: random.Random) -> Sample | None:
    """A remark with a caring answer to the feeling in it."""
    for name, labels in _FEELINGS.items():
        if item.label in labels and item.text and 15 < len(item.text) < 160 and "[" not in item.text:
            return Sample((Turn("user", item.text), Turn("assistant", rng.choice(pools("dialogue")["feeling"][name]), learn=True)))
    return None


def say(rng: random.Random) -> Sample:
    """Plain words to the assistant: an everyday trouble, words of crisis, a greeting or a question about the assistant.

    Troubles come more often than crises, for plain words of crisis are answered before the model is asked (`chat.safety`).
    """
    book = pools("dialogue")
    turns: list[Turn] = []
    which = rng.choices(("crisis", "trouble", "advice", "small", "able"), (22, 50, 12, 8, 8))[0]
    if which == "crisis" and rng.random() < 0.25:
        turns += _remark(rng, "trouble")  # it may come after harmless words
    turns += _remark(rng, which)
    if which == "trouble" and rng.random() < 0.4:
        turns += [Turn("user", rng.choice(book["ask"]["thanks"])), Turn("assistant", rng.choice(book["answer"]["thanks_talk"]), learn=True)]
    return Sample(tuple(turns))


def _remark(rng: random.Random, which: str) -> list[Turn]:
    book = pools("dialogue")
    if which == "able":
        user, answers = book["ask"]["able"], book["answer"]["able"]
    elif which == "advice":
        group = book["advice"]
        before = [Turn("user", rng.choice(group["before"])), Turn("assistant", rng.choice(group["first"]), learn=True)]
        return [*before, Turn("user", rng.choice(group["ask"])), Turn("assistant", rng.choice(group["answer"]), learn=True)]
    elif which == "trouble":
        group = rng.choice(list(book["trouble"].values()))
        user, answers = group["user"], group["answer"]
    else:
        user, answers = book[which]["user"], book[which]["answer"]
    return [Turn("user", rng.choice(user)), Turn("assistant", rng.choice(answers), learn=True)]
