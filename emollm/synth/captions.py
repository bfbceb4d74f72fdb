"""Truth to text: what a face does, in order and in several registers, with questions and answers about it.

Nothing is said that the truth does not hold. The FACS register can be read back without loss: `parse_facs(facs(events)) == events`.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from emollm.synth.motion import Event, Kind
from emollm.units import FACS

# unit without side -> (what happens, what is seen), both after "they" / with a noun of their own
_DOING: dict[str, tuple[str, ...]] = {
    "browDown": ("the brows draw down and together", "the brows lower", "a frown forms between the brows"),
    "browInnerUp": ("the inner brows rise", "the inner ends of the brows lift"),
    "browOuterUp": ("the outer brows rise", "the brows arch upwards"),
    "cheekSquint": ("the cheeks lift", "the cheeks rise towards the eyes"),
    "cheekPuff": ("the cheeks puff out", "air fills the cheeks"),
    "eyeSquint": ("the eyelids tighten", "the eyes narrow"),
    "eyeWide": ("the eyes open wide", "the upper lids rise"),
    "eyeBlink": ("the eyelids droop", "the lids sink"),
    "eyeLookDown": ("the gaze drops", "the eyes turn down"),
    "jawOpen": ("the mouth opens", "the jaw drops"),
    "jawForward": ("the jaw juts forward",),
    "jawLeft": ("the jaw slides to the side",),
    "mouthSmile": ("the corners of the mouth rise", "the mouth draws into a smile"),
    "mouthFrown": ("the corners of the mouth turn down", "the mouth corners sink"),
    "mouthDimple": ("a dimple forms at the mouth corner", "the mouth corners tighten"),
    "mouthPress": ("the lips press together",),
    "mouthStretch": ("the lips stretch sideways", "the mouth is pulled wide"),
    "mouthUpperUp": ("the upper lip lifts", "the upper lip rises"),
    "mouthLowerDown": ("the lower lip drops", "the lower teeth show"),
    "mouthPucker": ("the lips purse",),
    "mouthFunnel": ("the lips form a funnel",),
    "mouthRollLower": ("the lower lip rolls inwards",),
    "mouthRollUpper": ("the upper lip rolls inwards",),
    "mouthShrugLower": ("the chin pushes up", "the chin wrinkles"),
    "mouthShrugUpper": ("the upper lip is pushed up",),
    "mouthLeft": ("the mouth slides to one side",),
    "mouthClose": ("the lips close",),
    "noseSneer": ("the nose wrinkles", "the sides of the nose pull up"),
    "tongueOut": ("the tongue comes out",),
}
_MOVES = {
    ("nod", "down"): "nods", ("shake", "sideways"): "shakes the head",
    ("tilt", "left"): "tilts the head to the left", ("tilt", "right"): "tilts the head to the right",
    ("turn", "left"): "turns the head to the left", ("turn", "right"): "turns the head to the right",
    ("turn", "up"): "raises the head", ("turn", "down"): "lowers the head",
    ("glance", "left"): "glances to the left", ("glance", "right"): "glances to the right",
    ("glance", "up"): "glances up", ("glance", "down"): "glances down",
}  # fmt: skip
_FEELING = {
    "happy": "happiness", "sad": "sadness", "angry": "anger", "fear": "fear", "disgust": "disgust", "surprise": "surprise",
    "contempt": "contempt", "bored": "boredom", "confused": "confusion", "pain": "pain", "embarrassed": "embarrassment",
}  # fmt: skip
STRONG = 0.3  # a unit below this is not told in plain words


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question about a clip and its answer."""

    question: str
    answer: str
    kind: str  # "when", "what", "moment", "order", "negative", "reasoning", "scene"


def events_of(person: Mapping[str, Any]) -> list[Event]:
    """The events of one person of a truth file, in order of onset."""
    return sorted((Event.of_json(row) for row in person["events"]), key=lambda e: e.onset)


def facs(events: Sequence[Event]) -> str:
    """One line an event, complete: times, strength, side and every action unit."""
    lines = []
    for e in events:
        units = ", ".join(f"{FACS[name].split()[0]}:{name}={value:g}" for name, value in e.units.items())
        lines.append(
            f"{e.onset:.3f}-{e.apex:.3f}-{e.release:.3f}-{e.offset:.3f} s {e.kind} "
            f'"{e.name}" strength {e.strength:.3f} {e.side}' + (f" [{units}]" if units else "")
        )
    return "\n".join(lines)


_LINE = re.compile(r'([\d.]+)-([\d.]+)-([\d.]+)-([\d.]+) s (\w+) "(.*)" strength ([\d.]+) (\w+)(?: \[(.*)\])?')


def parse_facs(text: str) -> list[Event]:
    """Read `facs` back.

    Raises:
        ValueError: On a line that is not of its form.
    """
    events = []
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"not an event: {line!r}")
        onset, apex, release, offset, kind, name, strength, side, units = (g or "" for g in found.groups())
        pairs = (u.split(":", 1)[1].split("=") for u in (units.split(", ") if units else []))
        strengths = {k: float(v) for k, v in pairs}
        times = (float(onset), float(apex), float(release), float(offset))
        events.append(Event(cast("Kind", kind), *times, name, float(strength), side, strengths))
    return events


def appearance(person: Mapping[str, Any]) -> str:
    """A phrase such as "a young person with short black hair and glasses"."""
    look = person["appearance"]
    extras = [look["hair"] if look["hair"] != "no hair" else "no hair on the head", *(look[k] for k in ("beard", "glasses") if k in look)]
    article = "an" if look["age"][0] in "aeiou" else "a"
    who = "child" if look["age"] == "child" else f"{look['age']} person"
    return f"{article} {who} with {_and([look['skin'] + ' skin', *extras])}"


def plain(person: Mapping[str, Any], seconds: float, rng: random.Random) -> str:
    """What happens in order, in everyday words."""
    return _story(person, seconds, rng, opening=False)


def fda(person: Mapping[str, Any], seconds: float, rng: random.Random) -> str:
    """In the way of facial-motion data sets: appearance first, then the beginning, the course and the end."""
    return f"The video shows {appearance(person)}. {_story(person, seconds, rng, opening=True)}"


def _told(person: Mapping[str, Any]) -> list[Event]:
    return [e for e in events_of(person) if e.kind != "blink"]


def _story(person: Mapping[str, Any], seconds: float, rng: random.Random, *, opening: bool) -> str:
    events = [e for e in _told(person) if _sentence(e, random.Random(0))]
    first = next((e for e in events if e.kind == "expression"), None)
    calm = first is None or first.onset > 0.12 * seconds
    parts, used = [], set[str]()
    if calm:
        opener, rest = rng.choice((("At the beginning,", "the face is calm."), ("In the beginning,", "the face is relaxed.")))
        parts.append(f"{opener} {rest}")
        used.add("start")
    for i, event in enumerate(events):
        when = _when(event, events[:i], seconds, rng, used, opening=opening)
        sentence = _sentence(event, rng)
        parts.append(f"{when} {sentence}" + ("" if sentence.endswith(('."', '!"', '?"')) else "."))
        if event.kind == "expression" and event.offset < seconds - 0.15 and not event.micro:
            nxt = next((e for e in events[i + 1 :] if e.kind == "expression"), None)
            between = [e for e in events[i + 1 :] if e.onset < event.release]
            if (nxt is None or nxt.onset > event.offset) and not between:
                parts.append(rng.choice(("Then the face relaxes again.", "After that the features relax.", "Then this fades.")))
    if not events:
        parts.append(rng.choice(("It stays that way to the end.", "No expression follows.")))
    return " ".join(parts)


def _when(event: Event, before: Sequence[Event], seconds: float, rng: random.Random, used: set[str], *, opening: bool) -> str:
    """Words for the time of an event; a part of the clip is named once, what follows in it is joined by "then"."""
    last = before[-1] if before else None
    talk = next((e for e in before if e.kind == "speech" and e.onset <= event.onset < e.offset), None)
    if talk is not None:
        return rng.choice(("While speaking,", "During these words,"))
    if last is not None and event.onset < last.release:
        words = "Meanwhile," if "at once" in used else "At the same time,"
        used ^= {"at once"}  # in turn, or one of them would come three times over
        return words
    share = event.onset / seconds
    part = "start" if share < 0.25 else "end" if share > 0.66 else "middle"
    if part in used:
        return rng.choice(("Then", "After that,", "Next,")) if part != "start" else rng.choice(("Soon", "Shortly after,", "Then"))
    used.add(part)
    if part == "start":
        return "At the beginning," if opening else rng.choice(("Early on,", "Near the start,"))
    if part == "end":
        return "Towards the end," if opening else rng.choice(("Late in the clip,", "Near the end,"))
    return "As the video progresses," if opening else rng.choice(("Partway through,", "In the middle of the clip,"))


def _sentence(event: Event, rng: random.Random) -> str:
    if event.kind == "speech":
        return rng.choice(("the person speaks", "the lips move as the person speaks")) + (f', saying "{event.name}"' if event.name else "")
    if event.kind != "expression":
        return f"the person {_MOVES[event.kind, event.name]}"
    clauses = [rng.choice(_DOING[unit]) for unit in strongest(event)]
    if not clauses:
        return ""
    said = _and(clauses[:4])
    if event.side != "both":
        said += f", mostly on the person's {event.side} side"
    if event.micro:
        return f"for a split second {said}"
    return said + rng.choice(("", "", ", only faintly" if event.strength < 0.6 else ", strongly"))


def strongest(event: Event) -> list[str]:
    """Units of an expression worth telling, without sides, strongest first."""
    best: dict[str, float] = {}
    for name, value in event.units.items():
        key = name if name in _DOING else name.removesuffix("Left").removesuffix("Right")
        if key in _DOING:
            best[key] = max(best.get(key, 0.0), value)
    return [k for k, v in sorted(best.items(), key=lambda kv: -kv[1]) if v >= STRONG]


def exchanges(person: Mapping[str, Any], seconds: float, rng: random.Random) -> list[Exchange]:
    """Questions about moments, order, what did not happen, and what the signs point to."""
    events = _told(person)
    shown = [e for e in events if e.kind == "expression" and strongest(e)]
    found: list[Exchange] = []
    for event in shown:
        unit = strongest(event)[0]
        clause = rng.choice(_DOING[unit])
        if sum(unit in strongest(e) for e in shown) == 1:
            found.append(Exchange(f"At what time does this begin: {clause}?", f"At about {event.onset:.1f} seconds.", "when"))
    for first, second in itertools.pairwise(shown):
        if second.onset - first.onset > 0.4 and strongest(first)[0] != strongest(second)[0]:
            a, b = _DOING[strongest(first)[0]][0], _DOING[strongest(second)[0]][0]
            pair = rng.sample([a, b], 2)
            found.append(Exchange(f"Which comes first: {pair[0]}, or {pair[1]}?", f"First {a}, then {b}.", "order"))
    talk = next((e for e in events if e.kind == "speech"), None)
    if talk is not None:
        after = [e for e in shown if e.onset >= talk.offset]
        answer = (
            f"{_cap(_and([_DOING[u][0] for u in strongest(after[0])[:3]]))}."
            if after
            else "Nothing new: no expression begins after the speech."
        )
        found.append(Exchange("What does the face do after the person stops speaking?", answer, "what"))
    found += _regions(events, shown, talk, rng)
    present = {u for e in shown for u in strongest(e)}
    any_unit = {k for e in events if e.kind == "expression" for k, v in e.units.items() if v > 0.1}
    absent = [u for u in _DOING if u not in present and not any(name.startswith(u) for name in any_unit)]
    if talk is not None:  # speaking moves the mouth, the jaw and the inner brows without events of their own
        absent = [u for u in absent if not u.startswith(("mouth", "jaw", "browInner"))]
    absent = [u for u in absent if not u.startswith("eye")]
    if absent:
        found.append(Exchange(f"Is it true that {_DOING[rng.choice(absent)][0]}?", "No, that does not happen in this clip.", "negative"))
    if present:
        unit = rng.choice(sorted(present))
        found.append(Exchange(f"Is it true that {_DOING[unit][0]}?", "Yes, it does happen.", "what"))
    feelings = [e for e in shown if e.name in _FEELING]
    if feelings:
        event = max(feelings, key=lambda e: e.strength * (min(e.release, seconds) - e.apex + 0.1))
        signs = _and([_DOING[u][0] for u in strongest(event)[:3]])
        masked = person.get("masked")
        if masked and masked[0] in _FEELING:
            answer = f"The smile sits over signs of {_FEELING[masked[0]]} in the upper face, so the two may not tell the same story."
        else:
            answer = f"It looks like {_FEELING[event.name]}: {signs}."
        found.append(Exchange("Which emotion do the signs in the face point to, and why?", answer, "reasoning"))
    return found


_REGIONS = {"brows": ("brow",), "eyes": ("eye",), "cheeks": ("cheek",)}  # the mouth speaks, so nothing is asked about it


def _regions(events: Sequence[Event], shown: Sequence[Event], talk: Event | None, rng: random.Random) -> list[Exchange]:
    """What one part of the face does after the speech, or before, during and after another movement."""
    found = []
    for region, names in _REGIONS.items():
        doing = [(e, [u for u in strongest(e) if u.startswith(names)]) for e in shown]
        moving = [(e, units) for e, units in doing if units]
        slight = any(k.startswith(names) and 0.1 < v < STRONG for e in shown for k, v in e.units.items())
        if talk is not None and region != "eyes":
            after = [(e, units) for e, units in moving if e.onset >= talk.offset]
            during = [(e, units) for e, units in moving if talk.onset <= e.onset < talk.offset]
            if after:
                told = _cap(_and([_DOING[u][0] for u in after[0][1]]))
                found.append(Exchange(f"What do the {region} do after the person stops speaking?", f"{told}.", "moment"))
            elif not slight:
                found.append(Exchange(f"What do the {region} do after the person stops speaking?", "They begin nothing new.", "moment"))
            if during:
                told = _cap(_and([_DOING[u][0] for u in during[0][1]]))
                found.append(Exchange(f"What do the {region} do while the person speaks?", f"{told}.", "moment"))
        turn = next((e for e in events if e.kind in ("turn", "nod", "shake", "tilt")), None)
        if turn is not None and moving:
            event, units = moving[0]
            if abs(event.onset - turn.onset) > 0.3:
                order = "before" if event.onset < turn.onset else "after"
                found.append(
                    Exchange(
                        f"Do the {region} move before or after the person {_MOVES[turn.kind, turn.name]}?",
                        f"{_cap(order)}: {_and([_DOING[u][0] for u in units])} at about {event.onset:.1f} seconds, "
                        f"the head moves at about {turn.onset:.1f} seconds.",
                        "order",
                    )
                )
    return rng.sample(found, min(2, len(found)))


def about_everyone(people: Sequence[Mapping[str, Any]], seconds: float) -> list[Exchange]:
    """Questions about a picture with several people: how many, who speaks, who smiles. Left and right are the picture's."""
    if len(people) < 2:
        return []
    across = sorted(range(len(people)), key=lambda i: people[i]["boxes"][0][0])
    names = dict(zip(across, _SEATS[len(people)], strict=True)) if len(people) in _SEATS else {}
    counted = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six"}[len(people)]
    found = [Exchange("How many people are in the clip?", f"{counted}.", "scene")]
    if not names:
        return found
    talks = sorted((i for i, p in enumerate(people) if p["speaks"]), key=lambda i: _speech_onset(people[i]))
    if not talks:
        found.append(Exchange("Who speaks?", "Nobody speaks in this clip.", "scene"))
    elif len(talks) == 1:
        found.append(Exchange("Who speaks?", f"The person {names[talks[0]]}.", "scene"))
    else:
        found.append(
            Exchange(
                "Who speaks first, and who answers?", f"First the person {names[talks[0]]}, then the person {names[talks[1]]}.", "scene"
            )
        )
    main = next(i for i, p in enumerate(people) if p["main"])
    found.append(Exchange("Who is the main character?", f"The person {names[main]}: the nearest to the camera.", "scene"))
    for i in across:
        smile = next((e for e in events_of(people[i]) if e.kind == "expression" and "mouthSmile" in strongest(e)), None)
        if smile is not None and smile.onset < seconds:
            found.append(Exchange(f"When does the person {names[i]} smile?", f"From about {smile.onset:.1f} seconds on.", "scene"))
    return found


_SEATS = {2: ("on the left", "on the right"), 3: ("on the left", "in the middle", "on the right")}


def _speech_onset(person: Mapping[str, Any]) -> float:
    return next(e.onset for e in events_of(person) if e.kind == "speech")


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]
