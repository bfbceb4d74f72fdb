"""The truth of one rendered clip as a scene: who is where, what each face shows, what is said and how.

It decides what may be told at all: movements that are strong enough, not hidden by a hand, and not cut off by the end of the clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emollm.data.open_corpus.phrases import pool
from emollm.units import UNITS

STRONG = 0.3  # a unit below this is not told
TRACE = 0.1  # a unit above this is not denied
HEAD = ("nod", "shake", "tilt", "turn", "glance")
SEATS: Mapping[int, tuple[str, ...]] = {2: ("on the left", "on the right"), 3: ("on the left", "in the middle", "on the right")}


@dataclass(frozen=True, slots=True)
class Shown:
    """An expression or a movement of the head. Times are seconds of the clip."""

    kind: str
    name: str
    onset: float
    apex: float
    release: float
    offset: float
    strength: float = 1.0
    side: str = "both"
    units: Mapping[str, float] = field(default_factory=dict)
    micro: bool = False

    def told(self) -> list[str]:
        """Units worth telling, without their sides, strongest first; of a one-sided expression those of that side."""
        best: dict[str, float] = {}
        for name, value in self.units.items():
            key = base(name)
            if key is not None and (self.side == "both" or self.leans(key) == self.side):
                best[key] = max(best.get(key, 0.0), value)
        return [k for k, v in sorted(best.items(), key=lambda kv: -kv[1]) if v >= STRONG]

    def sides(self, unit: str) -> tuple[float, float] | None:
        """Strength on the person's left and right; None for a unit without sides."""
        if f"{unit}Left" not in UNITS or f"{unit}Right" not in UNITS:
            return None
        return self.units.get(f"{unit}Left", 0.0), self.units.get(f"{unit}Right", 0.0)

    def leans(self, unit: str) -> str:
        """ "left" or "right" where a unit is clearly stronger, "even" where it is nearly the same, "" in between."""
        found = self.sides(unit)
        if found is None:
            return "even"
        left, right = found
        if left >= 1.5 * right and left >= STRONG:
            return "left"
        if right >= 1.5 * left and right >= STRONG:
            return "right"
        return "even" if min(left, right) >= 0.8 * max(left, right) else ""


def base(unit: str) -> str | None:
    """A unit without its side, or None where there are no words for it."""
    say = pool("clip_moves")["say"]
    if unit in say:
        return unit
    bare = unit.removesuffix("Left").removesuffix("Right")
    return bare if bare in say else None


@dataclass(frozen=True, slots=True)
class Said:
    """What a person says."""

    text: str
    start: float
    end: float
    family: str  # of the words
    tone: str | None  # of the voice; None where it is too weak to be named
    prosody: Mapping[str, float]
    words: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class Person:
    """One person of a scene."""

    index: int
    id: str
    seat: str  # "on the left" of the picture; "" for a person alone
    main: bool
    look: str
    shown: tuple[Shown, ...]  # expressions that may be told, by onset
    hidden: tuple[Shown, ...]  # those that may not, and must not be denied
    head: tuple[Shown, ...]
    blinks: tuple[float, ...]
    said: Said | None
    covered: tuple[float, float] | None
    masked: tuple[str, str] | None
    curves: Mapping[str, Sequence[float]]  # unit -> strength at every frame

    @property
    def who(self) -> str:
        """ "the person", with the seat where there are several."""
        return f"the person {self.seat}".strip()

    @property
    def families(self) -> tuple[str, ...]:
        """Feelings the face shows, in order; loose units are none."""
        return tuple(dict.fromkeys(e.name for e in self.shown if e.name != "free" and not e.micro))

    @property
    def plain(self) -> bool:
        """The face does nothing at all."""
        return not self.shown and not self.hidden

    @property
    def leading(self) -> Shown | None:
        """The expression that lasts longest and strongest; None where there is no feeling."""
        named = [e for e in self.shown if e.name != "free" and not e.micro]
        return max(named, key=lambda e: e.strength * (e.release - e.onset), default=None)


@dataclass(frozen=True, slots=True)
class Scene:
    """One clip."""

    name: str
    split: str
    seconds: float
    fps: float
    people: tuple[Person, ...]

    @property
    def main(self) -> Person:
        """The main character."""
        return next((p for p in self.people if p.main), self.people[0])

    @property
    def speakers(self) -> list[Person]:
        """Who speaks, in order."""
        return sorted((p for p in self.people if p.said is not None), key=lambda p: p.said.start if p.said else 0.0)


def scene_of(truth: Mapping[str, Any]) -> Scene:
    """A truth file as a scene."""
    seconds = float(truth["seconds"])
    people = truth["people"]
    across = sorted(range(len(people)), key=lambda i: _middle(people[i]))
    seats = dict(zip(across, SEATS[len(people)], strict=True)) if len(people) in SEATS else {}
    found = tuple(_person(i, row, seats.get(i, ""), seconds, truth) for i, row in enumerate(people))
    return Scene(truth["name"], truth["split"], seconds, float(truth["fps"]), found)


def _middle(person: Mapping[str, Any]) -> float:
    boxes = person["boxes"]
    return sum(b[0] + b[2] for b in boxes) / (2 * len(boxes))


def _person(index: int, row: Mapping[str, Any], seat: str, seconds: float, truth: Mapping[str, Any]) -> Person:
    covered = (float(row["covered_s"][0]), float(row["covered_s"][1])) if row["covered_s"] else None
    events = sorted((_shown(e) for e in row["events"]), key=lambda e: e.onset)
    expressions = [e for e in events if e.kind == "expression"]
    shown = [e for e in expressions if e.told() and _visible(e, covered, seconds)]
    head = [e for e in events if e.kind in HEAD and _visible(e, None, seconds)]
    units = {name: [frame[k] for frame in row["units"]] for k, name in enumerate(truth["unit_names"])}
    talk = next((e for e in events if e.kind == "speech"), None)
    masked = tuple(row["masked"]) if row["masked"] else None
    if masked is not None and not {*masked} <= {e.name for e in shown}:
        masked = None
    return Person(
        index=index, id=f"synth:{row['person']}", seat=seat, main=bool(row["main"]), look=_look(row["appearance"]), shown=tuple(shown),
        hidden=tuple(e for e in expressions if e not in shown), head=tuple(head),
        blinks=tuple(e.onset for e in events if e.kind == "blink" and e.apex < seconds),
        said=_said(row, talk) if talk is not None and row["text"] else None,
        covered=covered, masked=masked, curves=units,
    )  # fmt: skip


def _shown(row: Mapping[str, Any]) -> Shown:
    names = ("kind", "name", "onset", "apex", "release", "offset", "strength", "side", "units", "micro")
    return Shown(**{k: row[k] for k in names})


def _visible(event: Shown, covered: tuple[float, float] | None, seconds: float) -> bool:
    if event.apex > seconds - 0.15:
        return False
    end = min(event.release, seconds)
    return covered is None or end <= covered[0] or event.onset >= covered[1]


def _said(row: Mapping[str, Any], talk: Shown) -> Said:
    words = tuple((str(w), float(a), float(b)) for w, a, b in row["words"])
    return Said(row["text"], talk.onset, talk.offset, row["text_emotion"] or "neutral", tone_of(row["prosody"]), row["prosody"], words)


def tone_of(prosody: Mapping[str, float]) -> str | None:
    """The feeling a voice was spoken with, from its targets: each is one family's factor, taken part of the way from a plain voice."""
    if not prosody:
        return None
    given = (prosody["pitch"], prosody["range"], prosody["rate"], prosody["gain_db"])
    plain = (1.0, 1.0, 1.0, 0.0)
    if given == plain:
        return "neutral"
    best, name = 0.05, None
    for family, full in pool("clip_stories")["prosody"].items():
        spans = [f - p for f, p in zip(full, plain, strict=True)]
        share = sum(s * (g - p) for s, g, p in zip(spans, given, plain, strict=True)) / (sum(s * s for s in spans) or 1.0)
        gap = max(abs(p + share * s - g) for s, g, p in zip(spans, given, plain, strict=True))
        if gap < best and share > 0:
            best, name = gap, family
    return name if name is not None and tones_of(prosody) else None


# target -> (higher from, its words; lower from, its words)
_TONES = {
    "pitch": (1.1, "pitch_up", 0.95, "pitch_down"), "range": (1.3, "range_up", 0.75, "range_down"),
    "rate": (1.06, "rate_up", 0.9, "rate_down"), "gain_db": (2.0, "gain_up", -2.5, "gain_down"),
}  # fmt: skip


def tones_of(prosody: Mapping[str, float]) -> list[str]:
    """Keys of the [tones] pool that hold for a voice."""
    found = []
    for name, (high, up, low, down) in _TONES.items():
        if name in prosody:
            found += [up] if prosody[name] >= high else [down] if prosody[name] <= low else []
    return found


def _look(look: Mapping[str, str]) -> str:
    hair = look["hair"] if look["hair"] != "no hair" else "a bald head"
    extras = [f"{look['skin']} skin", hair, *(look[k] for k in ("beard", "glasses") if k in look)]
    who = "child" if look["age"] == "child" else f"{look['age']} person"
    return f"{'an' if who[0] in 'aeiou' else 'a'} {who} with {', '.join(extras[:-1])} and {extras[-1]}"
