"""Labelled faces and voices to recognition samples with one-word answers: alone, paired, and asked part by part."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor, cat

from emollm.data.conversation import ClipView, Turn
from emollm.data.corpus import Item
from emollm.data.features import Seen
from emollm.data.prompts import ADJECTIVES, label_question, pools

FER_VOTES = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")  # order of the crowd's votes in FER+
MIXED = 0.6  # share of `agree` samples whose token lies between two


@dataclass(frozen=True, slots=True)
class Sample:
    """A conversation to learn from, and the features of the clips in it."""

    turns: tuple[Turn, ...]
    features: Mapping[str, Tensor] = field(default_factory=dict)  # stream -> [N, D_enc]
    shares: Mapping[str, float] = field(
        default_factory=dict
    )  # wanted probability of each possible first answer; empty for the answer alone
    task: str = ""  # what it teaches, so that losses can be told apart
    worse: str = ""  # another last answer, which the one in `turns` is to be likelier than; empty where there is none


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


@dataclass(frozen=True, slots=True)
class Head:
    """What one of our encoders makes of its own tokens."""

    labels: tuple[str, ...]
    shares: Callable[[Tensor], Tensor]  # [N, D_enc] tokens to [N, C] probabilities


def agree(one: Seen, other: Seen, stream: str, head: Head, options: Sequence[str], rng: random.Random) -> Sample:
    """The encoder's own verdict on a token somewhere between two people's, as the wanted answer: not a label, its doubts as well.

    Labels alone teach where the classes are; tokens in between teach where they end, and how often each is meant.
    """
    tokens = one.features[stream].float()
    mixed = rng.random() < MIXED
    if mixed:
        share, partner = rng.betavariate(0.7, 0.7), other.features[stream].float()
        count = min(len(tokens), len(partner))
        tokens = share * tokens[:count] + (1 - share) * partner[:count]
    verdict = dict(zip(head.labels, head.shares(tokens).mean(0).tolist(), strict=True))
    shuffled = rng.sample(list(options), len(options))
    whole = sum(verdict.get(name, 0.0) for name in shuffled) or 1.0
    shares = {name: verdict.get(name, 0.0) / whole for name in shuffled}
    view = replace(one.view, cues={}) if mixed else quieter(one.view, rng)
    view = replace(
        view, words=None, tokens={**view.tokens, stream: len(tokens)}, marks_s={n: m[: len(tokens)] for n, m in view.marks_s.items()}
    )
    answer = rng.choices(shuffled, [shares[name] for name in shuffled])[0]
    turns = (Turn("user", label_question(shuffled, variant=rng.randrange(100)), clip=view), Turn("assistant", answer, learn=True))
    return Sample(turns, {**one.features, stream: tokens.half()}, shares)


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
    return Seen(voice.item, view, {**face.features, **voice.features}, face.pace)


def in_sequence(parts: Sequence[Seen], rng: random.Random) -> tuple[Seen, tuple[float, ...]]:
    """Face pictures as stretches of one invented video, and when each begins; a synthetic sequence, not one person's face.

    A stream of stretches gets one row of each picture, a stream of frames gets each picture as often as it would have been seen, and a
    stream of one moment gets the middle picture.
    """
    marks = [0.0]
    for _ in parts[1:]:
        marks.append(round(marks[-1] + rng.uniform(0.8, 5.0), 1))
    duration = marks[-1] + rng.uniform(1.0, 5.0)
    features: dict[str, Tensor] = {}
    times: dict[str, tuple[float, ...]] = {}
    for name in parts[0].features:
        pace = parts[0].pace.get(name, 0)
        if not pace and name == "face":
            features[name], times[name] = cat([p.features[name][:1] for p in parts]), tuple(marks)
        elif pace:
            moments = [round((k + 0.5) * duration / pace, 2) for k in range(pace)]
            shown = [parts[sum(m <= moment for m in marks) - 1].features.get(name) for moment in moments]
            there = [(rows, moment) for rows, moment in zip(shown, moments, strict=True) if rows is not None]
            if there:
                features[name] = cat([rows for rows, _ in there])
                times[name] = tuple(moment for rows, moment in there for _ in range(len(rows)))
    view = ClipView(
        kind="video",
        duration_s=duration,
        tokens={name: len(rows) for name, rows in features.items()},
        marks_s=times,
        cues={"face": tuple((p.view.cues.get("face") or ((),))[0] for p in parts)},
    )
    return Seen(parts[0].item, view, features, parts[0].pace), tuple(marks)


def recognise_parts(seen: Seen, face: Sequence[str], marks: Sequence[float], voice: str | None, rng: random.Random) -> Sample:
    """Several one-word questions about one clip, each about a part of it.

    A token must be read for what it is: a stretch of the face by its time, the voice apart from the face.

    Args:
        seen: The clip.
        face: Label of each stretch of the face.
        marks: When each stretch begins, in seconds.
        voice: Label of the voice; None where there is none.
        rng: Chooses order and wording.
    """
    pool = pools("recognise")["parts"]
    asked: list[tuple[str, str]] = []
    for i, label in enumerate(face):
        place = "start" if i == 0 else "end" if i + 1 == len(face) else "middle"
        wording = pool["only" if len(face) == 1 else place if place != "middle" and rng.random() < 0.5 else "at"]
        asked.append((rng.choice(wording).format(when=f"{marks[i]:.1f}"), label))
    if voice is not None:
        asked.append((rng.choice(pool["voice"]), voice))
    rng.shuffle(asked)
    options = list(dict.fromkeys([*face, *([voice] if voice else [])]))
    options += rng.sample([n for n in ADJECTIVES if n not in options], rng.randint(2, 5))
    rng.shuffle(options)
    turns: list[Turn] = []
    for question, label in asked:
        text = question if turns else rng.choice(pool["first"]).format(question=question, options=", ".join(options))
        turns += [Turn("user", text, clip=None if turns else seen.view), Turn("assistant", label, learn=True)]
    return Sample(tuple(turns), seen.features)
