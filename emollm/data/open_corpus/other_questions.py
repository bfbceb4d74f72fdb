"""Questions about the voice, the words, several people, and about what a clip cannot tell."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from emollm.data.open_corpus.exchange import Exchange, ask, focused
from emollm.data.open_corpus.phrases import number, seconds
from emollm.data.open_corpus.scene import Person, Scene
from emollm.data.open_corpus.wording import adjective, noun, signs, voice_tones


def about_voice(scene: Scene, person: Person, rng: random.Random) -> Iterator[Exchange]:
    """What is said, when and how, and whether it fits the face; where two speak, each question says whom it means."""
    for one in _about_voice(scene, person, rng):
        yield focused(one, person.seat, rng) if len(scene.speakers) > 1 else one


def _about_voice(scene: Scene, person: Person, rng: random.Random) -> Iterator[Exchange]:
    me, said, who = person.index, person.said, person.who
    if not scene.speakers:
        yield ask("words", "none", me, rng, who=who)
        yield ask("unheard", "answer", me, rng, who=who)
        if rng.random() < 0.4:
            yield ask("agree", "silent", me, rng, who=who)
        return
    if said is None:
        return
    yield ask("words", "answer", me, rng, who=who, text=said.text)
    start, end = seconds(said.start), seconds(min(said.end, scene.seconds))
    yield ask("speech_time", "answer", me, rng, who=who, start=start, end=end)
    counted = Counter(w.casefold().strip(".,!?") for w, _, _ in said.words)
    long = [(w.strip(".,!?"), a) for w, a, _ in said.words if len(w.strip(".,!?")) > 3 and counted[w.casefold().strip(".,!?")] == 1]
    if long and len(scene.speakers) == 1:
        word, at = rng.choice(long)
        yield ask("word_time", "answer", me, rng, word=word, time=seconds(at))
    if said.tone is not None and len(scene.speakers) == 1:
        if said.tone == "neutral":
            yield ask("voice", "plain", me, rng, who=who)
        else:
            yield ask(
                "voice", "told", me, rng, who=who, tones=voice_tones(person, rng), noun=noun(said.tone), adjective=adjective(said.tone)
            )
    yield from _fits(person, rng)


def _fits(person: Person, rng: random.Random) -> Iterator[Exchange]:
    """Whether voice and words go with the face, where the face has one story."""
    me, said, who = person.index, person.said, person.who
    families = person.families or (("neutral",) if person.plain else ())
    if said is None or len(families) != 1 or person.masked is not None:
        return
    face = families[0]
    if said.tone is not None:
        if face == said.tone:
            yield ask("agree", "same", me, rng, who=who, noun=noun(face))
        else:
            yield ask("agree", "other", me, rng, who=who, face=noun(face), voice=noun(said.tone))
    if face == said.family:
        yield ask("words_face", "same", me, rng, who=who, noun=noun(face))
    elif said.family == "neutral":
        yield ask("words_face", "plain", me, rng, who=who, face=noun(face))
    else:
        yield ask("words_face", "other", me, rng, who=who, words=noun(said.family), face=noun(face))


def about_people(scene: Scene, rng: random.Random) -> Iterator[Exchange]:
    """How many, who speaks, who shows what, who is in front."""
    main = scene.main
    if len(scene.people) == 1:
        if rng.random() < 0.3:
            yield ask("count", "one", main.index, rng)
        return
    yield ask("count", "answer", main.index, rng, count=number(len(scene.people)))
    if not main.seat:
        return
    talks = scene.speakers
    if not talks:
        who = ask("who", "nobody", main.index, rng)
        if len(scene.people) == 2 or "Neither" not in who.answer:
            yield who
    elif len(talks) == 1:
        yield ask("who", "one", main.index, rng, seat=talks[0].seat, claim=f"The person {talks[0].seat} speaks.")
    else:
        yield ask("who", "two", main.index, rng, seat=talks[0].seat, other=talks[1].seat, claim=f"The person {talks[0].seat} speaks.")
    yield ask("near", "answer", main.index, rng, seat=main.seat)
    for other in (p for p in scene.people if p is not main):
        if other.plain:
            yield ask("seat_feeling", "none", other.index, rng, seat=other.seat)
        elif len(other.families) == 1 and other.masked is None and other.leading is not None:
            event = other.leading
            yield ask(
                "seat_feeling", "answer", other.index, rng, seat=other.seat, adjective=adjective(event.name), noun=noun(event.name),
                signs=signs(event, rng),
            )  # fmt: skip
    yield from _who_shows(scene, rng)


def _who_shows(scene: Scene, rng: random.Random) -> Iterator[Exchange]:
    if any(p.hidden for p in scene.people):
        return
    names = sorted({f for p in scene.people for f in p.families})
    if not names:
        return
    name = rng.choice(names)
    shows = [p for p in scene.people if name in p.families]
    if len(shows) == 1:
        event = next(e for e in shows[0].shown if e.name == name)
        words = {"seat": shows[0].seat, "time": seconds(event.onset), "adjective": adjective(name), "noun": noun(name)}
        yield ask("who_shows", "one", shows[0].index, rng, claim=f"The face of the person {shows[0].seat} shows {noun(name)}.", **words)
    elif len(shows) == 2 == len(scene.people):
        yield ask("who_shows", "both", shows[0].index, rng, adjective=adjective(name), noun=noun(name))


def unanswerable(person: Person, rng: random.Random) -> Exchange:
    """What no face, voice or words of the clip can tell."""
    return ask("unknown", "answer", person.index, rng, who=person.who)
