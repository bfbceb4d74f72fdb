"""Every claim of a text about a rendered clip against its truth: movements, order, sides, times, feelings, speakers, words, counts.

Movements are read by a grammar that is handed in, so that nothing here shares the words the text was written with; they are looked for
in the strength of every unit at every frame, not in the plan the clip was made from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from emollm.data.open_corpus.phrases import NUMBERS, pool
from emollm.data.open_corpus.scene import SEATS, TRACE, Person, Scene, Shown, tones_of
from emollm.units import FACS, PAIRED

if TYPE_CHECKING:
    from emollm.evaluation.events import Movement

Grammar = Callable[[str], Sequence["Movement"]]
NEAR_S = 0.35  # how far a told time may be from the frames that bear it out
SEEN = 0.2  # strength at a frame from which a movement counts as seen
_FEELINGS = {
    "happy": r"happ(?:y|iness|ily)|joy\w*|delight\w*|glad|pleased|cheerful|elat\w+",
    "sad": r"sad\w*|sorrow\w*|unhapp\w+|downcast|melanchol\w+|lonel\w+|grie[fv]\w*",
    "angry": r"ang(?:er|ry|rily)|furious\w*|rage|irritat\w+|annoy\w+",
    "fear": r"fear\w*|afraid|scared?|frighten\w*|terrif\w+|anxi\w+|nervous\w*",
    "surprise": r"surpris\w+|astonish\w+|startl\w+",
    "disgust": r"disgust\w*|revuls\w+|repuls\w+",
    "contempt": r"contempt\w*|scorn\w*|disdain\w*|unimpressed",
    "bored": r"bored(?:om)?|uninterested",
    "confused": r"confus\w+|puzzled",
    "pain": r"pain\w*",
    "embarrassed": r"embarrass\w+|ashamed",
}
_FEELING = re.compile("|".join(f"(?P<{name}>\\b(?:{words})\\b)" for name, words in _FEELINGS.items()), re.IGNORECASE)
_SIDE = {
    "face": re.compile(r"\b(?:face|looks?|shows|expression|signs)\b", re.IGNORECASE),
    "voice": re.compile(r"\b(?:voice|sounds?|tone)\b", re.IGNORECASE),
    "words": re.compile(r"\b(?:words?|sentence|said)\b", re.IGNORECASE),
}
_DENIED = re.compile(r"\b(?:no(?! wonder)|not|never|neither|nor|without|nothing|nobody)\b", re.IGNORECASE)
_PARTS = re.compile(r"[.;:!?]\s|,(?= (?:while|but|whereas|the voice|the face)\b)|\bwhile\b|\bbut\b|\band so does\b")
_OVERALL = re.compile(r"\b(?:taken together|overall|reading|fits together|everything)\b", re.IGNORECASE)  # of face, voice and words alike
_BLINKS = re.compile(r"\b(?:I count (\w+)|(\w+) (?:blinks?|in all)\b)", re.IGNORECASE)
_QUOTED = re.compile(r'"([^"]*)"')
_TIME = re.compile(r"(?:(\d+(?:\.\d+)?) (?:to|and) )?(?:about )?(\d+(?:\.\d+)?) ?s(?:econds?)?\b")
_SEATED = re.compile(r"\bperson (on the left|on the right|in the middle)\b")
_COUNT = re.compile(r"\b(one|two|three|four|five|six) (?:people|persons)\b", re.IGNORECASE)
_TONES = {
    "loud": ("gain_up",), "quiet": ("gain_down",), "soft": ("gain_down",), "pitched up": ("pitch_up",), "high in pitch": ("pitch_up",),
    "pitched down": ("pitch_down",), "low in pitch": ("pitch_down",),
    "raised": ("pitch_up",), "lowered": ("pitch_down",),
    "lively": ("range_up",), "animated": ("range_up",), "flat": ("range_down",), "monotone": ("range_down",), "quick": ("rate_up",),
    "hurried": ("rate_up",), "slow": ("rate_down",), "unhurried": ("rate_down",),
}  # fmt: skip
_TONE = re.compile(rf"\b({'|'.join(_TONES)})\b", re.IGNORECASE)


def faults(text: str, scene: Scene, grammar: Grammar, *, subject: int | None = None, moves: bool = True) -> list[str]:
    """What a text claims beyond the truth.

    Args:
        text: A description, an answer or a reply.
        scene: The clip's truth.
        grammar: Reads movements out of a text, such as `emollm.evaluation.events.movements`.
        subject: Whom it is about where no seat is named; the main character by default.
        moves: Also look for movements; a reply to the person tells none.

    Returns:
        One line a fault, beginning with its kind; empty where everything holds.
    """
    person = scene.people[subject] if subject is not None else scene.main
    bare = _QUOTED.sub('""', text)
    found = [*_quotes(text, scene), *_times(bare, scene), *_people(bare, scene), *_feelings(bare, scene, person), *_tones(bare, scene)]
    if moves:
        found += _movements(text, scene, person, grammar)
    return found


def denial_faults(claim: str, scene: Scene, grammar: Grammar, *, subject: int | None = None) -> list[str]:
    """What a claim that is denied does show after all, be it a trace."""
    person = scene.people[subject] if subject is not None else scene.main
    found = []
    for told in grammar(claim):
        if any(_strength(person, unit, t, told.side) > TRACE for unit in _units_of(told) for t in range(_frames(person))):
            found.append(f"denied: {told.part} {told.axis} is there")
        if any(_head_is(e, told) for e in person.head):
            found.append(f"denied: {told.part} {told.axis} is there")
    return found


def unit_row_faults(text: str, person: Person) -> list[str]:
    """Action units of a coded description that the frames do not have."""
    found = []
    for code in re.findall(r"\bA[UD]\d+(?:/\d+)?", text):
        if max((_peak(person, k) for k, told in FACS.items() if told.split()[0] == code), default=0.0) < 0.15:
            found.append(f"unit: {code} is never active")
    return found


# -- words, times, counts, tones


def _letters(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)?", text.casefold()))


def _quotes(text: str, scene: Scene) -> Iterator[str]:
    said = [_letters(p.said.text) for p in scene.speakers if p.said is not None]
    for quote in _QUOTED.findall(text):
        wanted = _letters(quote)
        if wanted and not any(f" {wanted} " in f" {words} " for words in said):
            yield f"words: {quote!r} is not said"
    # who says it: the seat named before the quotation in its sentence
    for seat, between, quote in re.findall(r'person (on the left|on the right|in the middle)([^".!?]*)"([^"]*)"', text):
        who = next((p for p in scene.people if p.seat == seat), None)
        holds = who is not None and who.said is not None and _letters(quote) in _letters(who.said.text)
        if re.search(r"answers|says|speaks|saying", between) and not holds:
            yield f"speaker: not the person {seat} says {quote!r}"


def _times(bare: str, scene: Scene) -> Iterator[str]:
    for first, last in _TIME.findall(bare):
        for value in (first, last):
            if value and float(value) > scene.seconds + 0.1:
                yield f"time: {value} s is after the end, {scene.seconds:.1f} s"
    for sentence in re.split(r"(?<=[.!?])\s", bare):
        if re.search(r"\b(?:speaks?|spoken|words|talks)\b", sentence) and (span := re.search(r"(\d+\.\d) (?:to|and) (\d+\.\d)", sentence)):
            ends = [(p.said.start, min(p.said.end, scene.seconds)) for p in scene.speakers if p.said is not None]
            if not any(abs(float(span[1]) - a) <= NEAR_S and abs(float(span[2]) - b) <= NEAR_S for a, b in ends):
                yield f"time: nobody speaks from {span[1]} to {span[2]} s"


def _people(bare: str, scene: Scene) -> Iterator[str]:
    for word in _COUNT.findall(bare):
        if NUMBERS.index(word.casefold()) != len(scene.people):
            yield f"count: {len(scene.people)} people, not {word}"
    for word in (a or b for a, b in _BLINKS.findall(bare)):
        if word.casefold() in NUMBERS and not any(len(p.blinks) == NUMBERS.index(word.casefold()) for p in scene.people):
            yield f"count: not {word} blinks"
    for seat in _SEATED.findall(bare):
        if seat not in SEATS.get(len(scene.people), ()):
            yield f"count: nobody is {seat}"
    for seat in re.findall(r"person (on the left|on the right|in the middle)(?: who)? (?:speaks|answers|says|talks)", bare):
        if not any(p.seat == seat and p.said is not None for p in scene.people):
            yield f"speaker: the person {seat} says nothing"
    if re.search(r"\b(?:nobody|neither of them) (?:speaks|says)|\bno voice\b|\bnothing is said\b", bare, re.IGNORECASE) and scene.speakers:
        yield "speaker: somebody speaks"


def _tones(bare: str, scene: Scene) -> Iterator[str]:
    heard = {key for p in scene.speakers if p.said is not None for key in tones_of(p.said.prosody)}
    for part in re.split(r"(?<=[.;!?])\s", bare):
        if re.search(r"\bvoice|\bsounds\b|\bIt is\b|comes across", part):
            for word in _TONE.findall(part):
                if not heard & {*_TONES[word.casefold()]}:
                    yield f"voice: it is not {word}"


# -- feelings


def _feelings(bare: str, scene: Scene, person: Person) -> Iterator[str]:
    carried: list[str] = []
    for part in _PARTS.split(bare):
        sides = [name for name, pattern in _SIDE.items() if pattern.search(part)]
        carried = [] if _OVERALL.search(part) else sides or carried
        sides = [] if _OVERALL.search(part) else sides
        seat = _SEATED.search(part)
        about = next((p for p in scene.people if seat and p.seat == seat[1]), person)
        for hit in _FEELING.finditer(part):
            feeling = str(hit.lastgroup)
            there = {side: feeling in _felt(about, side) for side in _SIDE}
            if _DENIED.search(part[: hit.start()][-24:]):
                if any(there[s] for s in (sides or _SIDE)):
                    yield f"feeling: {feeling} is there"
            elif not any(there[s] for s in (sides or carried or _SIDE)):
                yield f"feeling: no {feeling} in {' or '.join(sides or carried or _SIDE)}"


def _felt(person: Person, side: str) -> set[str]:
    if side == "face":
        return {e.name for e in person.shown}
    if person.said is None:
        return set()
    return {person.said.tone or ""} if side == "voice" else {person.said.family}


# -- movements


def _movements(text: str, scene: Scene, person: Person, grammar: Grammar) -> Iterator[str]:
    earliest: dict[int, float] = {}
    for told in grammar(text):
        if told.part == "speech":
            yield from _speech(told, scene, person)
            continue
        about = _of_seat(told, scene, person)
        if about is None:
            yield f"movement: nobody is {told.who}"
            continue
        if (told.part, told.axis) == ("face", "relax"):
            if not _relaxes(about, scene):
                yield "movement: the face never relaxes"
            continue
        after = earliest.get(about.index, 0.0)
        starts = [a for a in _starts(about, told, scene) if a is not None]
        said = f"{told.part} {told.axis} {told.sign:+d}{f' {told.side}' if told.side else ''}"
        if not starts:
            yield f"movement: {said} is not there" + (f" at {told.time_s:g} s" if told.time_s is not None else "")
            continue
        timed = [a for a in starts if _in_phase(a, told.phase, scene)]
        if not timed:
            yield f"time: {said} is not at the {told.phase}"
            continue
        later = [a for a in timed if a >= after - 0.25]
        if not later:
            yield f"order: {said} comes earlier"
            continue
        earliest[about.index] = max(after, min(later))


def _speech(told: Movement, scene: Scene, person: Person) -> Iterator[str]:
    about = _of_seat(told, scene, person)
    if re.search(r"\b(?:nobody|neither)\b", told.text):
        return  # looked for among the people
    if told.sign > 0 and not scene.speakers:
        yield "speaker: nobody speaks"
    elif told.who and about is not None and about.said is None and told.sign > 0:
        yield f"speaker: the person {about.seat} says nothing"


def _of_seat(told: Movement, scene: Scene, person: Person) -> Person | None:
    if not told.who:
        return person
    return next((p for p in scene.people if told.who in p.seat), None)


def _relaxes(person: Person, scene: Scene) -> bool:
    return not person.shown or person.shown[0].onset > 0.08 * scene.seconds or any(e.offset <= scene.seconds for e in person.shown)


def _in_phase(onset: float, phase: str, scene: Scene) -> bool:
    share = onset / scene.seconds
    return {"start": share < 0.5, "middle": 0.12 < share < 0.95, "progress": share > 0.1, "end": share > 0.45}.get(phase, True)


def _starts(person: Person, told: Movement, scene: Scene) -> list[float | None]:
    """When the told movement begins, each time it does: where its unit rises through `SEEN`, or where the head sets out."""
    found: list[float | None] = [e.onset for e in person.head if _head_is(e, told) and _near(told.time_s, e.onset, e.offset)]
    for unit in _units_of(told):
        before = False
        for event in (e for e in person.shown if unit in {k.removesuffix("Left").removesuffix("Right") for k in e.units} | set(e.units)):
            frames = range(max(0, int(event.onset * scene.fps)), min(_frames(person), int(event.offset * scene.fps) + 2))
            peak = max((_strength(person, unit, t, told.side) for t in frames), default=0.0)
            before = peak >= SEEN and _sided(event, unit, told.side)
            if before and _near(told.time_s, event.onset, event.offset):
                found.append(event.onset)
    return found


def _near(told: float | None, onset: float, offset: float) -> bool:
    return told is None or onset - NEAR_S <= told <= min(offset, onset + 10) + NEAR_S


def _sided(event: Shown, unit: str, side: str) -> bool:
    pair = event.sides(unit)
    if side in ("left", "right"):
        return pair is not None and (pair[0] >= 1.2 * pair[1] if side == "left" else pair[1] >= 1.2 * pair[0])
    return side != "both" or (pair is not None and min(pair) >= 0.15)


def _units_of(told: Movement) -> list[str]:
    means = pool("clip_moves")["means"]
    return [unit for unit, rows in means.items() if [told.part, told.axis, told.sign] in rows]


def _head_is(event: Shown, told: Movement) -> bool:
    return pool("clip_moves")["head_means"][f"{event.kind} {event.name}"] == [told.part, told.axis, told.sign]


def _frames(person: Person) -> int:
    return len(next(iter(person.curves.values()), ()))


def _strength(person: Person, unit: str, frame: int, side: str) -> float:
    names = [unit] if unit not in PAIRED else [f"{unit}{s}" for s in ("Left", "Right") if side in ("", "both", s.casefold())]
    return max((person.curves[n][frame] for n in names if n in person.curves), default=0.0)


def _peak(person: Person, unit: str) -> float:
    return max(person.curves.get(unit, (0.0,)))
