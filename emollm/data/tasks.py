"""Items of a corpus to training samples: recognition with one-word answers, and text dialogues."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor, cat

from emollm.data.conversation import ClipView, Turn
from emollm.data.corpus import Item
from emollm.data.features import Seen
from emollm.data.prompts import label_question, pools

FER_VOTES = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")  # order of the crowd's votes in FER+
CONTEXT_LINES = 3  # lines of dialogue shown before the one in question


@dataclass(frozen=True, slots=True)
class Sample:
    """A conversation to learn from, and the features of the clips in it."""

    turns: tuple[Turn, ...]
    features: Mapping[str, Tensor] = field(default_factory=dict)  # stream -> [N, D_enc]


def draw(items: Sequence[Item], count: int, balance: float, rng: random.Random) -> list[Item]:
    """Draw with classes weighted by their frequency to the power of `balance`; 1 keeps frequencies, 0 makes classes equal."""
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[item.label or ""].append(item)
    weights = [len(g) ** balance for g in groups.values()]
    wanted = [round(count * w / sum(weights)) for w in weights]
    drawn: list[Item] = []
    for group, number in zip(groups.values(), wanted, strict=True):
        whole, rest = divmod(number, len(group))
        drawn += group * whole + rng.sample(group, rest)
    rng.shuffle(drawn)
    return drawn


def labels_of(items: Sequence[Item]) -> dict[str, list[str]]:
    """Corpus -> its label set, most frequent first."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for item in items:
        if item.label is not None:
            counts[item.corpus][item.label] += 1
    return {corpus: sorted(c, key=lambda name: -c[name]) for corpus, c in counts.items()}


def quieter(view: ClipView, rng: random.Random, share: float = 0.35) -> ClipView:
    """Sometimes without the measured words, so that the tokens themselves must be read."""
    return replace(view, cues={}) if rng.random() < share else view


def recognise(seen: Seen, options: Sequence[str], rng: random.Random, words: str | None = None) -> Sample:
    """Which of the options does the clip show?"""
    shuffled = rng.sample(list(options), len(options))
    question = label_question(shuffled, variant=rng.randrange(100))
    view = replace(quieter(seen.view, rng), words=words)
    return Sample((Turn("user", question, clip=view), Turn("assistant", seen.item.label or "", learn=True)), seen.features)


def join(face: Seen, voice: Seen, words: str | None = None) -> Seen:
    """A face and a voice as one clip: synthetic pairing."""
    view = ClipView(
        kind="video",
        duration_s=voice.view.duration_s,
        tokens={**face.view.tokens, **voice.view.tokens},
        marks_s={**face.view.marks_s, **voice.view.marks_s},
        cues={**face.view.cues, **voice.view.cues},
        words=words,
    )
    return Seen(voice.item, view, {**face.features, **voice.features})


def in_sequence(parts: Sequence[Seen], rng: random.Random) -> tuple[Seen, tuple[float, ...]]:
    """Face pictures as stretches of one invented video, and when each begins; a synthetic sequence, not one person's face."""
    marks = [0.0]
    for _ in parts[1:]:
        marks.append(round(marks[-1] + rng.uniform(0.8, 5.0), 1))
    duration = marks[-1] + rng.uniform(1.0, 5.0)
    view = ClipView(
        kind="video",
        duration_s=duration,
        tokens={"face": len(parts)},
        marks_s={"face": tuple(marks)},
        cues={"face": tuple((p.view.cues.get("face") or ((),))[0] for p in parts)},
    )
    return Seen(parts[0].item, view, {"face": cat([p.features["face"][:1] for p in parts])}), tuple(marks)


def recognise_text(lines: Sequence[Item], options: Sequence[str], rng: random.Random, *, variant: int | None = None) -> Sample:
    """Which emotion does the last of some lines of dialogue express?"""
    shuffled = rng.sample(list(options), len(options)) if variant is None else list(options)
    question = label_question(shuffled, kind="text", variant=rng.randrange(100) if variant is None else variant)
    return Sample((Turn("user", f"{dialogue_text(lines)}\n{question}"), Turn("assistant", lines[-1].label or "", learn=True)))


def dialogue_text(lines: Sequence[Item]) -> str:
    """Lines with their speakers' names, one a row, each cut to what carries feeling."""
    return "\n".join(f"{(line.speaker or '').split(':')[-1]}: {(line.text or '')[:240]}" for line in lines)


def with_context(items: Sequence[Item]) -> dict[str, list[Item]]:
    """Item id -> the item with the lines of its dialogue that come before it."""
    dialogues: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        dialogues[item.extra.get("dialogue", item.id)].append(item)
    found = {}
    for lines in dialogues.values():
        lines.sort(key=lambda i: i.extra.get("turn", 0))
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
    """A greeting, a question about the assistant, or words of crisis, with the right answer."""
    book = pools("dialogue")
    which = rng.choice(("crisis", "crisis", "crisis", "small", "able"))
    if which == "able":
        return Sample((Turn("user", rng.choice(book["ask"]["able"])), Turn("assistant", rng.choice(book["answer"]["able"]), learn=True)))
    return Sample((Turn("user", rng.choice(book[which]["user"])), Turn("assistant", rng.choice(book[which]["answer"]), learn=True)))
