"""Descriptions of a rendered clip: the face as it moves, its action units, the voice, the picture, and all of it together."""

from __future__ import annotations

import random
from collections.abc import Sequence

from emollm.data.open_corpus.phrases import capital, fill, listed, number, pool, seconds
from emollm.data.open_corpus.scene import Person, Scene, Shown
from emollm.data.open_corpus.wording import adjective, move, noun, signs, voice_tones, whole
from emollm.units import FACS


def face(scene: Scene, person: Person, rng: random.Random) -> str:
    """What a face does, in order; by parts of the clip, by the second, or one thing after another."""
    book = pool("clip_stories")
    events = sorted([*person.shown, *person.head], key=lambda e: e.onset)
    opening = fill(rng, book["focus"]["face"], seat=person.seat) if person.seat else ""
    if not person.shown:
        if person.hidden:
            return ""
        first = fill(rng, book["open"]["only_calm"], who="the person")
        clock = _Clock(scene, person, rng.choice(("parts", "seconds")), rng, used=set())
        rest = [_sentence(e, clock.words(e, person.head[:i]), rng) for i, e in enumerate(person.head[:3])]
        return _joined(opening, [first, *rest])
    parts = []
    if person.shown[0].onset > 0.12 * scene.seconds and not any(e.onset < person.shown[0].onset for e in person.hidden):
        parts.append(rng.choice(book["open"]["calm"]))
    when = _Clock(scene, person, rng.choice(("parts", "parts", "seconds", "row")), rng, used={"start"} if parts else set())
    for i, event in enumerate(events):
        parts.append(_sentence(event, when.words(event, events[:i]), rng))
        if event.kind == "expression" and _lets_go(event, person, scene):
            parts.append(rng.choice(book["after"]["relax"]))
            when.used.add("after")
    return _joined(opening, parts)


def _joined(opening: str, parts: list[str]) -> str:
    if opening and parts:
        parts = [f"{opening} {parts[0][:1].lower()}{parts[0][1:]}", *parts[1:]]
    return " ".join(parts)


def _sentence(event: Shown, when: str, rng: random.Random) -> str:
    if event.kind != "expression":
        said = f"the person {move(event, rng)[0]}"
    elif event.micro:
        return f"{rng.choice(pool('clip_stories')['manner']['brief'])} {whole(event, rng)}."
    else:
        said = whole(event, rng)
    return f"{capital(f'{when} {said}'.strip())}."


def _lets_go(event: Shown, person: Person, scene: Scene) -> bool:
    """It fades before anything else begins, and nobody's words move the mouth."""
    others = [e for e in (*person.shown, *person.hidden, *person.head) if e is not event]
    talks = person.said is not None and person.said.start < event.offset + 0.3 and person.said.end > event.release
    return (
        not event.micro
        and not talks
        and event.offset < scene.seconds - 0.2
        and not any(e.onset < event.offset + 0.05 and e.offset > event.release for e in others)
    )


class _Clock:
    """Words for the time of an event, in one manner; a part of the clip is named once."""

    def __init__(self, scene: Scene, person: Person, manner: str, rng: random.Random, used: set[str]) -> None:
        self.scene, self.person, self.manner, self.rng, self.used = scene, person, manner, rng, used

    def words(self, event: Shown, before: Sequence[Shown]) -> str:
        book, last = pool("clip_stories")["when"], before[-1] if before else None
        if self.manner == "seconds" and not event.micro:
            return fill(self.rng, book["at_time"], time=seconds(event.onset))
        said = self.person.said
        if said is not None and said.start + 0.2 < event.onset < said.end - 0.2 and "talking" not in self.used:
            self.used.add("talking")
            return str(self.rng.choice(book["talking"]))
        if last is not None and event.onset < last.release - 0.1 and not last.micro:
            return self._fresh(book["at_once"])
        share = event.onset / self.scene.seconds
        part = "start" if share < 0.25 else "end" if share > 0.66 else "middle"
        if part not in self.used and self.manner == "parts":
            self.used.add(part)
            return str(self.rng.choice(book[part]))
        if last is None:
            return "" if "start" in self.used or self.manner == "row" else str(self.rng.choice(book[part]))
        return self._fresh(book["next"])

    def _fresh(self, words: Sequence[str]) -> str:
        word = str(self.rng.choice([w for w in words if w not in self.used] or words))
        self.used.add(word)
        return word


def units(scene: Scene, person: Person, rng: random.Random) -> str:
    """The same face coded in action units, with times; strongest three to five of every expression."""
    book = pool("clip_units")
    who = person.who
    if not person.shown:
        return "" if person.hidden else fill(rng, book["none"], who=who)
    rows = []
    shape = rng.choice(book["line"])
    for event in person.shown:
        best = sorted(((v, k) for k, v in event.units.items() if v >= 0.2), reverse=True)[: rng.choice((4, 6))]
        named = dict.fromkeys(f"{FACS[k].split(',')[0]}{_side(event, k)}" for _, k in best)
        rows.append(
            shape.format(
                time=seconds(event.onset),
                start=seconds(event.onset),
                end=seconds(min(event.offset, scene.seconds)),
                units=listed(list(named)),
            )
        )
    return f"{fill(rng, book['head_of' if person.seat else 'head'], who=who)} {'; '.join(rows)}."


def _side(event: Shown, unit: str) -> str:
    bare = unit.removesuffix("Left").removesuffix("Right")
    leaning = event.leans(bare) if bare != unit else "even"
    return {"left": " (left)", "right": " (right)"}.get(leaning, "")


def voice(scene: Scene, rng: random.Random) -> str:
    """Who speaks when, which words, and in what tone; "" where the tone is too weak to be named."""
    book, speakers = pool("clip_stories")["voice"], scene.speakers
    if not speakers:
        return fill(rng, book["silent"])
    first = speakers[0]
    assert first.said is not None
    said = first.said
    words = {"who": first.who, "text": said.text, "start": seconds(said.start), "end": seconds(min(said.end, scene.seconds))}
    if said.tone == "neutral":
        parts = [fill(rng, book["plain"], **words)]
    else:
        tones = voice_tones(first, rng)
        if said.tone is None or not tones:
            return ""
        shapes = [s for s in book["told"] if "One sentence" not in s or len(speakers) == 1]
        parts = [fill(rng, shapes, tones=tones, **words)]
    for other in speakers[1:]:
        assert other.said is not None
        parts.append(fill(rng, book["other"], who=other.who, text=other.said.text, start=seconds(other.said.start)))
    return " ".join(parts)


def picture(scene: Scene, rng: random.Random) -> str:
    """Who is to be seen and what covers a face; nothing of what the faces do."""
    book = pool("clip_stories")["picture"]
    if len(scene.people) == 1:
        parts = [fill(rng, book["one"], look=scene.main.look)]
    else:
        seen = [f"{p.look} {p.seat}" if not p.seat else f"{p.seat}, {p.look}" for p in sorted(scene.people, key=lambda p: p.seat)]
        parts = [fill(rng, book["several"], count=number(len(scene.people)), looks="; ".join(seen))]
    for person in scene.people:
        if person.covered is not None:
            whose = f"the face of the person {person.seat}" if person.seat else "the person's face"
            shaped = [s.replace("{whose} face", "{whose}") for s in book["covered"]]
            parts.append(fill(rng, shaped, whose=whose, start=seconds(person.covered[0]), end=seconds(person.covered[1])))
    return " ".join(parts)


def reason(scene: Scene, person: Person, rng: random.Random) -> str:
    """Face, voice and words weighed against each other; "" where one of them cannot be named."""
    book = pool("clip_stories")["reason"]
    seen = _face_reason(person, rng)
    if not seen:
        return ""
    families = person.families or ("neutral",)
    parts, heard = [seen], person.said
    if heard is None:
        if scene.speakers:
            return ""
        parts.append(fill(rng, book["silent"]))
        if len(families) == 1 and person.masked is None:
            parts.append(fill(rng, book["alone"], noun=noun(families[0])))
        return " ".join(parts)
    if heard.tone is None:
        return ""
    told: list[str] = []
    if heard.tone == "neutral":
        told.append(fill(rng, book["voice_plain"]))
    else:
        told.append(fill(rng, book["voice"], adjective=adjective(heard.tone), noun=noun(heard.tone), tones=voice_tones(person, rng)))
    plain = heard.family == "neutral"
    told.append(fill(rng, book["words_plain" if plain else "words"], text=heard.text, noun=noun(heard.family)))
    if rng.random() < 0.5:
        told.reverse()
    parts += told
    feelings = {*families, heard.tone, heard.family} - {"neutral"}
    if len(feelings) == 1:
        parts.append(fill(rng, book["agree"], noun=noun(next(iter(feelings)))))
    elif len(feelings) > 1:
        parts.append(fill(rng, book["differ"]))
    return " ".join(parts)


def _face_reason(person: Person, rng: random.Random) -> str:
    book = pool("clip_stories")["reason"]
    named = [e for e in person.shown if e.name != "free" and not e.micro]
    if not named:
        return fill(rng, book["face_still"]) if person.plain else ""
    if person.masked is not None:
        beneath = next(e for e in named if e.name == person.masked[0])
        return fill(rng, book["face_masked"], signs=signs(beneath, rng), noun=noun(beneath.name))
    if len(named) > 1 and named[0].name != named[1].name:
        one, two = named[:2]
        return fill(
            rng, book["face_two"], before=noun(one.name), after=noun(two.name), before_adjective=adjective(one.name),
            after_adjective=adjective(two.name), signs_before=signs(one, rng, most=2), signs_after=signs(two, rng, most=2),
        )  # fmt: skip
    one = named[0]
    return fill(rng, book["face"], who=person.who, adjective=adjective(one.name), noun=noun(one.name), signs=signs(one, rng))
