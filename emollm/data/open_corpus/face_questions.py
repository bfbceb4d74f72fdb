"""Questions about one face of a rendered clip: when, what, in which order, on which side, how it changes, and what is not there."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from emollm.data.open_corpus.exchange import Exchange, ask, deny, focused
from emollm.data.open_corpus.phrases import number, pool, seconds
from emollm.data.open_corpus.scene import TRACE, Person, Scene, Shown, base
from emollm.data.open_corpus.wording import adjective, clause, move, noun, signs

_SILENT_REGIONS = ("brow", "cheek", "nose", "eyeWide")  # what speaking does not move


def about_face(scene: Scene, person: Person, rng: random.Random) -> Iterator[Exchange]:
    """All questions that the face of a person answers; among several people, each says whom it means."""
    for one in _about_face(person, rng):
        yield focused(one, person.seat, rng)


def _about_face(person: Person, rng: random.Random) -> Iterator[Exchange]:
    who, me = person.who, person.index
    once = [
        (e, u)
        for e in person.shown
        for u in e.told()[:2]
        if sum(u in o.told() or _holds(o, u) for o in (*person.shown, *person.hidden)) == 1
    ]
    rng.shuffle(once)
    if once:
        event, unit = once[0]
        one = clause(unit, rng)
        claim = f"At about {seconds(event.onset)} seconds, {one.text}."
        yield ask("when", "answer", me, rng, claim=claim, time=seconds(event.onset), **one.words())
    if person.shown:
        event = rng.choice(person.shown)
        first = next(e for e in person.shown if event.told()[0] in e.told())
        one = clause(event.told()[0], rng)
        claim = f"At about {seconds(first.onset)} seconds, {one.text}."
        yield ask("present", "yes", me, rng, claim=claim, time=seconds(first.onset), **one.words())
    yield from _absent(person, rng)
    pairs = [(a, b) for a, b in itertools.pairwise(person.shown) if b.onset - a.onset > 0.4]
    pairs = [(a, b) for a, b in pairs if a.told()[0] not in b.told() and b.told()[0] not in a.told()]
    if pairs:
        early, late = rng.choice(pairs)
        first_, then = clause(early.told()[0], rng), clause(late.told()[0], rng)
        a, b = rng.sample([first_.text, then.text], 2)
        yield ask(
            "order", "answer", me, rng, a=a, b=b, first=first_.text, second=then.text, first_time=seconds(early.onset),
            second_time=seconds(late.onset), claim=f"First {first_.text}, then {then.text}.",
        )  # fmt: skip
    yield from _sides(person, rng)
    named = [e for e in person.shown if e.name != "free" and not e.micro]
    if len(person.shown) == 1 and not person.hidden and not person.shown[0].micro:
        event = person.shown[0]
        told = signs(event, rng, most=2)
        yield ask(
            "strongest", "answer", me, rng, time=seconds(event.apex), signs=told, claim=f"At about {seconds(event.apex)} seconds, {told}."
        )
    yield from _feeling(person, named, rng)
    if not person.hidden and not any(e.name == "free" for e in person.shown) and person.masked is None:
        if len(named) == 2 and named[0].name != named[1].name:
            before, after = noun(named[0].name), noun(named[1].name)
            yield ask("change", "yes", me, rng, before=before, after=after, time=seconds(named[1].onset))
        elif len(named) == 1:
            yield ask("change", "no", me, rng, noun=noun(named[0].name), time=seconds(named[0].onset))
    quick = [e for e in person.shown if e.micro]
    if quick:
        told = signs(quick[0], rng, most=2)
        yield ask(
            "brief", "yes", me, rng, time=seconds(quick[0].onset), signs=told, claim=f"At about {seconds(quick[0].onset)} seconds, {told}."
        )
    elif person.shown and not person.hidden and rng.random() < 0.4:
        yield ask("brief", "no", me, rng)
    yield from _around_speech(person, rng, who)
    yield from _head(person, rng, who)
    if person.covered is None or rng.random() < 0.3:
        yield _blinks(person, rng, who)
    if person.covered is not None:
        yield ask("covered", "yes", me, rng, start=seconds(person.covered[0]), end=seconds(person.covered[1]))
    elif rng.random() < 0.2:
        yield ask("covered", "no", me, rng)


def _holds(event: Shown, unit: str) -> bool:
    return any(base(name) == unit and value > TRACE for name, value in event.units.items())


def _absent(person: Person, rng: random.Random) -> Iterator[Exchange]:
    say = pool("clip_moves")["say"]
    there = {u for e in (*person.shown, *person.hidden) for u in say if _holds(e, u)}
    means = pool("clip_moves")["means"]
    moved = {tuple(row) for u in there for row in means[u]}
    gone = [
        u for u in say if u not in there and not moved & {tuple(r) for r in means[u]} and u not in ("eyeLookDown", "eyeBlink", "eyeSquint")
    ]
    if person.said is not None:  # speaking moves the mouth, the jaw and the inner brows without events of their own
        gone = [u for u in gone if u.startswith(_SILENT_REGIONS) and u != "browInnerUp"]
    if gone:
        one = clause(rng.choice(gone), rng)
        yield deny("present", person.index, rng, claim=f"{one.text}.", **one.words())


def _sides(person: Person, rng: random.Random) -> Iterator[Exchange]:
    for event in rng.sample(person.shown, len(person.shown)):
        for unit in event.told():
            leaning = event.leans(unit)
            if event.sides(unit) is None or not leaning or unit.startswith("eye"):
                continue
            if sum(_holds(e, unit) for e in (*person.shown, *person.hidden)) > 1:
                continue
            one = clause(unit, rng)
            if leaning == "even":
                if rng.random() < 0.5:
                    yield ask("side", "even", person.index, rng, claim=f"{one.text} on both sides.", **one.words())
            else:
                claim = f"{one.text}, more on the person's {leaning} side."
                yield ask("side", "one", person.index, rng, claim=claim, side=leaning, whose="the person's", **one.words())
            return


def _feeling(person: Person, named: list[Shown], rng: random.Random) -> Iterator[Exchange]:
    me, who = person.index, person.who
    if person.plain:
        yield ask("feeling", "none", me, rng, who=who)
    elif person.masked is not None:
        beneath = next(e for e in named if e.name == person.masked[0])
        yield ask("feeling", "masked", me, rng, who=who, noun=noun(beneath.name), signs=signs(beneath, rng))
    elif len({e.name for e in named}) == 1:
        event = named[0]
        yield ask("feeling", "answer", me, rng, who=who, noun=noun(event.name), adjective=adjective(event.name), signs=signs(event, rng))


def _around_speech(person: Person, rng: random.Random, who: str) -> Iterator[Exchange]:
    said, me = person.said, person.index
    if said is None:
        return
    during = [e for e in person.shown if said.start <= e.onset < said.end - 0.2]
    after = [e for e in person.shown if e.onset >= said.end]
    if during:
        yield ask("talking", "yes", me, rng, who=who, signs=signs(during[0], rng))
    if after:
        yield ask("afterwards", "yes", me, rng, who=who, signs=signs(after[0], rng), time=seconds(after[0].onset))
    elif not any(e.onset >= said.end for e in person.hidden):
        yield ask("afterwards", "no", me, rng, who=who)


def _head(person: Person, rng: random.Random, who: str) -> Iterator[Exchange]:
    me = person.index
    if len(person.head) == 1:
        event = person.head[0]
        yield ask("head", "answer", me, rng, who=who, does=move(event, rng)[0], time=seconds(event.onset))
    elif len(person.head) == 2:
        one, two = person.head
        yield ask(
            "head", "two", me, rng, who=who, does=move(one, rng)[0], does_two=move(two, rng)[0], time=seconds(one.onset),
            time_two=seconds(two.onset),
        )  # fmt: skip
    elif not person.head:
        yield ask("head", "none", me, rng, who=who)
    if "nod" not in {e.kind for e in person.head} and rng.random() < 0.4:
        yield deny("headed", me, rng, who=who, base="nod", does="nods", claim=f"{who} nods.")
    elif "shake" not in {e.kind for e in person.head} and rng.random() < 0.4:
        yield deny("headed", me, rng, who=who, base="shake the head", does="shakes the head", claim=f"{who} shakes the head.")


def _blinks(person: Person, rng: random.Random, who: str) -> Exchange:
    count = len(person.blinks)
    shape = "none" if not count else "one" if count == 1 else "more"
    times = number(count) if count != 2 else "two"
    return ask("blinks", shape, person.index, rng, who=who, count=times, time=seconds(person.blinks[0]) if count else "")
