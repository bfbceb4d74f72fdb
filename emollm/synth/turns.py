"""Who says what in a clip, and when: sentences or recordings, one person or two in turn, and how the others listen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from emollm.errors import EmollmError
from emollm.synth import speech
from emollm.synth.book import book
from emollm.synth.motion import Event, Sound
from emollm.synth.person import Person
from emollm.values import AUDIO_HZ, Floats

Split = Literal["train", "val"]
VAL_SHARE = 5  # every fifth sentence is kept for val
SPEAKING = 0.7  # share of clips with a voice in which somebody speaks
ANSWERED = 0.6  # share of those with several people in which somebody answers
_RECORDINGS = (".wav", ".ogg", ".flac", ".mp3", ".m4a", ".opus")


@dataclass(frozen=True, slots=True)
class Spoken:
    """One person's words in a clip."""

    speech: speech.Speech
    start: float  # seconds
    text: str | None = None  # None for a recording
    family: str | None = None  # feeling in the words

    @property
    def end(self) -> float:
        """Seconds; the clip may be over before."""
        return self.start + len(self.speech.audio) / AUDIO_HZ

    @property
    def sound(self) -> Sound:
        """What moves the lips, in the clip's time."""
        shift = int(self.start * 100)
        own = self.speech.sound
        silence = np.zeros(shift, np.float32)
        return Sound(
            tuple((name, a + self.start, b + self.start) for name, a, b in own.phonemes),
            np.concatenate([silence, own.energy]),
            np.concatenate([silence, own.pitch]) if len(own.pitch) else own.pitch,
        )


def sentences(split: Split) -> dict[str, list[str]]:
    """Sentences by feeling; train and val share none."""
    found = {}
    for family, lines in book("sentences").items():
        found[family] = [line for i, line in enumerate(lines) if (i % VAL_SHARE == VAL_SHARE - 1) == (split == "val")]
    return found


def plan_turns(
    people: Sequence[Person], shown: Sequence[Sequence[Event]], voices: str, split: Split, seconds: float, rng: np.random.Generator
) -> dict[int, Spoken]:
    """Who of the people speaks: nobody, one, or two one after the other.

    Args:
        people: Everyone in the clip.
        shown: What each of them does, so that words can go with a face or against it.
        voices: "espeak", "none" or a folder of recordings.
        split: Whose sentences.
        seconds: Length of the clip.
        rng: Of this clip.

    Returns:
        Index of a person -> their words.

    Raises:
        EmollmError: The folder holds no recordings, or espeak-ng is not installed.
    """
    first = int(rng.integers(len(people)))
    if voices == "none" or rng.random() >= SPEAKING:
        return {}
    if voices != "espeak":
        recording = _recording(voices, seconds, rng)
        return {first: recording}
    order = [first]
    if len(people) > 1 and rng.random() < ANSWERED:
        order.append(int(rng.choice([i for i in range(len(people)) if i != first])))
    found: dict[int, Spoken] = {}
    free = 0.05
    for turn, who in enumerate(order):
        said = _sentence(people[who], shown[who], split, rng)
        slack = seconds - 0.05 - free - len(said.speech.audio) / AUDIO_HZ
        if slack < 0:
            break
        last = turn == len(order) - 1
        start = free + float(rng.uniform(0, slack if last and turn == 0 else min(slack, 0.5)))
        found[who] = replace(said, start=start)
        free = found[who].end + 0.15
    return found


def _sentence(person: Person, shown: Sequence[Event], split: Split, rng: np.random.Generator) -> Spoken:
    """Words that go with the face, against it, or are neutral; mostly in the tone of their feeling."""
    lines = sentences(split)
    kinds = [e.name for e in shown if e.kind == "expression" and e.name in lines] or ["neutral"]
    family = str(rng.choice([kinds[0], "neutral", str(rng.choice(list(lines)))], p=[0.5, 0.3, 0.2]))
    tone = family if rng.random() < 0.75 else str(rng.choice(list(lines)))
    text = str(rng.choice(lines[family]))
    return Spoken(speech.speak(text, person, tone, strength=float(rng.uniform(0.5, 1))), 0.0, text, family)


@lru_cache(maxsize=4)
def _files(folder: str) -> tuple[Path, ...]:
    return tuple(sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in _RECORDINGS))


def _recording(folder: str, seconds: float, rng: np.random.Generator) -> Spoken:
    files = _files(folder)
    if not files:
        raise EmollmError(f"no recordings ({', '.join(_RECORDINGS)}) in {folder}. Give a folder that holds some.")
    heard = speech.hear(files[int(rng.integers(len(files)))])
    return Spoken(replace(heard, audio=heard.audio[: int(seconds * AUDIO_HZ)]), 0.0)


def listen(listener: int, places: Sequence[Floats | tuple[float, ...]], spoken: dict[int, Spoken], rng: np.random.Generator) -> list[Event]:
    """Glances of a listener at whoever speaks, most of the time."""
    events = []
    for who, said in spoken.items():
        if who == listener or rng.random() > 0.75:
            continue
        aside = places[who][0] - places[listener][0]
        onset = said.start + float(rng.uniform(0.1, 0.4))
        stay = float(rng.uniform(0.5, 1.2))
        if onset + 0.4 < said.end:
            # A person who looks at the picture's right looks to their own left.
            events.append(Event("glance", onset, onset + 0.15, onset + stay, onset + stay + 0.2, "left" if aside > 0 else "right", 1.0))
    return events
