"""The verifier: every sentence of a text against the measurements, by rules: borne out, not borne out, or beyond measuring.

A sentence is `supported` when it makes at least one claim of a kind listed here and the measurements bear out all of them, `unsupported`
when one is not borne out, and `unchecked` when nothing in it can be measured or part of it cannot: clothes, places, age, causes, intent.
Claims: an emotion (of the side its clause names), a movement of the face or head, a quality of the voice, a quotation, a time, a pitch,
a share in percent, and how many people are seen. Movements are read by the grammar of `evaluation.events`; what it has no word for is
not seen, so a sentence may be supported for one part of what it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from emollm.annotation.finding import Finding
from emollm.annotation.transcript_agent import feelings
from emollm.annotation.units_agent import ACTIVE, pattern, smooth
from emollm.annotation.visual_agent import LOWERED, TURNED
from emollm.evaluation.events import Movement, movements
from emollm.units import PAIRED, UNITS
from emollm.values import Analysis, FaceReading, Floats

HEARD = 0.2  # share of a voice's emotion from which it may be named; below, with "perhaps" or without, it is no finding
NEAR_S = 0.7  # how far a told time may be from the measured one
_WORDS: Mapping[str, str] = {
    "happy": r"happ\w+|joy\w*|delight\w*|glad\w*|pleased|cheerful\w*|elat\w+|excite\w+|amus\w+",
    "sad": r"sad\w*|sorrow\w*|grie\w+|unhapp\w+|melanchol\w+|lonel\w+|despair\w*|depress\w+|disappoint\w+|upset|hurt",
    "angry": r"ang(?:er|ry|rily)\w*|furious\w*|rage|irritat\w+|annoy\w+|frustrat\w+",
    "fear": r"fear\w*|afraid|scared|fright\w+|terrif\w+|anxi\w+|nervous\w*|worr\w+",
    "surprise": r"surpris\w+|astonish\w+|shock\w+|amaze\w*|startl\w+",
    "disgust": r"disgust\w*|revuls\w+|repuls\w+",
    "contempt": r"contempt\w*|scorn\w*|disdain\w*",
    "bored": r"bored\w*",
    "neutral": r"neutral\w*|calm\w*|composed",
}
_EMOTION = re.compile("|".join(f"(?P<{name}>\\b(?:{words})\\b)" for name, words in _WORDS.items()), re.IGNORECASE)
_SIDE: Mapping[str, re.Pattern[str]] = {
    "face": re.compile(r"\b(?:fac(?:e|ial)|expression|movements?|look(?:s|ing)?|smil\w+|units?)\b", re.IGNORECASE),
    "voice": re.compile(r"\b(?:voices?|tone|sounds?|vocal\w*|pitch|prosody)\b", re.IGNORECASE),
    "words": re.compile(r"\b(?:words?|say(?:s|ing)?|said|tell(?:s|ing)?|transcript)\b", re.IGNORECASE),
}
_DENIED = re.compile(r"\b(?:no|not|never|nor|neither|without|n't|hardly|rather than)\b", re.IGNORECASE)
_CLAUSE = re.compile(r";|, (?:while|but|whereas|though|although|and|then|yet)\b|\bwhile\b|\bwhereas\b|\bbut\b")
_QUOTED = re.compile(r'["“]([^"”]*)["”]')
_SPOKEN = re.compile(r"\b(?:speak(?:s|ing)|talk(?:s|ing)|silent)\b", re.IGNORECASE)
_TIME = re.compile(r"(?:(\d+(?:\.\d+)?) (?:to|and|-) )?(\d+(?:\.\d+)?) ?(?:s|seconds?)\b")
# What measurements of face, voice and words cannot know; naming it makes a sentence at best unchecked.
_UNSEEN = re.compile(
    r"\b(?:because|since|due to|as a result|in order to|so that|intend\w*|wants? to|tr(?:ies|ying) to|remember\w*|"
    r"wom[ae]n|m[ae]n|girl|boy|lady|guy|old|young|elderly|child|wears?|wearing|dressed|shirt|hat|suit|dress|"
    r"room|outdoors?|indoors?|street|office|kitchen|background|sitting|standing|walk\w*|hands?|gestur\w*|arms?|tears?|cry\w*|crie[sd]|"
    r"depression|disorder|illness|lying|liar|honest\w*|dishonest\w*)\b",
    re.IGNORECASE,
)
_VOICE_CLAIMS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), cues)
    for pattern, cues in (
        (r"\b(?:high|higher|raised)[- ]pitch\w*|\bpitch is (?:high|raised)", ("high pitch",)),
        (r"\b(?:low|lower|deep)[- ]pitch\w*|\bdeep voice|\bpitch is low", ("low pitch",)),
        (r"\bmonoton\w+|\bflat (?:melody|tone|voice|intonation)", ("flat melody",)),
        (r"\blively melody|\banimated (?:voice|tone)|\bvaried intonation", ("lively melody",)),
        (r"\b(?:loud(?:ly)?|shout\w*|yell\w*|raised voice)\b", ("loud",)),
        (r"\b(?:quiet(?:ly)?|soft(?:ly)?|whisper\w*|hushed)\b", ("very quiet",)),
        (r"\b(?:slow(?:ly)?|unhurried)\b", ("slow",)),
        (r"\b(?:fast|quick(?:ly)?|rapid(?:ly)?|hurried)\b", ("fast",)),
        (r"\bbreathy\b", ("breathy",)),
        (r"\blong pauses\b", ("long pauses",)),
        (r"\bdark tone\b", ("dark tone",)),
        (r"\b(?:bright|tense)\b.{0,8}\b(?:tone|voice)\b", ("bright, tense tone",)),
    )
)
# (part, axis, sign) of the grammar -> units that are that movement
_UNITS: Mapping[tuple[str, str, int], tuple[str, ...]] = {
    ("brows", "height", 1): ("browInnerUp", "browOuterUp"), ("inner brows", "height", 1): ("browInnerUp",),
    ("outer brows", "height", 1): ("browOuterUp",), ("brows", "height", -1): ("browDown",), ("brows", "furrow", 1): ("browDown",),
    ("cheeks", "height", 1): ("cheekSquint",), ("cheeks", "puff", 1): ("cheekPuff",), ("eyes", "open", 1): ("eyeWide",),
    ("eyes", "open", -1): ("eyeSquint", "eyeBlink"), ("eyes", "blink", 1): ("eyeBlink",), ("gaze", "y", 1): ("eyeLookUp",),
    ("gaze", "y", -1): ("eyeLookDown",), ("nose", "wrinkle", 1): ("noseSneer",), ("corners", "height", 1): ("mouthSmile",),
    ("corners", "height", -1): ("mouthFrown",), ("corners", "tight", 1): ("mouthDimple",), ("mouth", "open", 1): ("jawOpen",),
    ("mouth", "stretch", 1): ("mouthStretch",), ("lips", "press", 1): ("mouthPress",),
    ("lips", "roll", 1): ("mouthRollLower", "mouthRollUpper"),
    ("lips", "purse", 1): ("mouthPucker", "mouthFunnel"), ("upper lip", "height", 1): ("mouthUpperUp",),
    ("lower lip", "height", -1): ("mouthLowerDown",), ("chin", "push", 1): ("mouthShrugLower",), ("jaw", "forward", 1): ("jawForward",),
    ("tongue", "out", 1): ("tongueOut",),
}  # fmt: skip
_COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4}
# Sentences of ours that tell what was not found; true by what they say of our own measurements
_PASSED = re.compile(r"^the recogniser was unsure of these words\.?$", re.IGNORECASE)
Check = tuple[bool | None, str]  # borne out, not, or beyond measuring; what was looked at


@dataclass(frozen=True, slots=True)
class Measured:
    """What sentences are held against: an analysis, and the transcript that goes with the sample."""

    analysis: Analysis
    words: str = ""  # the sample's own; where it has none, what was heard counts

    @property
    def text(self) -> str:
        """The words that may be quoted."""
        heard = self.analysis.words
        return self.words or (heard.text if heard is not None else "")


def sentences(text: str) -> list[str]:
    """A text cut after full stops, not inside numbers or quotations."""
    held = _QUOTED.sub(lambda m: re.sub(r"([.!?])(\s)", "\\1\u0000\\2", m.group()).replace(" ", "\u0001"), text)
    parts = re.split(r'(?<=[.!?])\s+|(?<=[.!?]["”])\s+', held)
    return [p.replace("\u0000", "").replace("\u0001", " ").strip() for p in parts if p.strip()]


def verify(text: str, measured: Measured) -> Finding:
    """Check a text.

    Returns:
        The supported sentences as text, and all of them as `checks` with what was looked at.
    """
    checks = [(s, *check(s, measured)) for s in sentences(text)]
    kept = " ".join(s for s, status, _ in checks if status == "supported")
    return Finding(kept, kept, checks=tuple(checks))


def check(sentence: str, measured: Measured) -> tuple[str, str]:
    """Status of one sentence and why."""
    if _PASSED.match(sentence):
        return "supported", "what the recogniser gave"
    bare = _QUOTED.sub("", sentence)
    found = [*_quotes(sentence, measured), *_times(bare, measured), *_pitch(bare, measured), *_people(bare, measured)]
    found += [*_emotions(bare, measured), *_voice(bare, measured), *_moves(bare, measured), *_silence(bare, measured)]
    wrong = [why for holds, why in found if holds is False]
    if wrong:
        return "unsupported", "; ".join(wrong)
    if unseen := _UNSEEN.search(bare):
        return "unchecked", f"{unseen.group()!r} cannot be measured"
    unknown = [why for holds, why in found if holds is None]
    if unknown or not found:
        return "unchecked", "; ".join(unknown) or "no claim that can be measured"
    return "supported", "; ".join(dict.fromkeys(why for _, why in found))


def _quotes(sentence: str, measured: Measured) -> Iterator[Check]:
    said = _letters(measured.text)
    for quote in _QUOTED.findall(sentence):
        if _letters(quote).strip():
            yield f" {_letters(quote).strip()} " in f" {said.strip()} ", "quotation looked for in the transcript"


def _letters(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)?", text.casefold().replace("’", "'")))


def _times(bare: str, measured: Measured) -> Iterator[Check]:
    end = measured.analysis.duration_s + 0.1
    for first, last in _TIME.findall(bare):
        for value in (first, last):
            if value and float(value) > end:
                yield False, f"the clip has {measured.analysis.duration_s:.1f} s, not {value}"


def _pitch(bare: str, measured: Measured) -> Iterator[Check]:
    voice = measured.analysis.voice
    for value in re.findall(r"(\d+(?:\.\d+)?) ?Hz\b", bare):
        there = voice is not None and bool(abs(voice.pitch_hz - float(value)) <= 0.05 * voice.pitch_hz)
        yield there, f"measured pitch {voice.pitch_hz:.0f} Hz" if voice is not None else "no voice was measured"
    for value in re.findall(r"(\d+(?:\.\d+)?) ?%", bare):
        near = [s for s in _shares(measured.analysis) if abs(100 * s - float(value)) <= 2]
        yield bool(near), f"a share of {value}%" if near else f"no measured share is near {value}%"


def _shares(analysis: Analysis) -> Iterator[float]:
    for face in analysis.faces:
        yield from (float(v) for v in face.scores.mean(0))
    if analysis.voice is not None:
        yield from (float(v) for v in analysis.voice.scores)


def _people(bare: str, measured: Measured) -> Iterator[Check]:
    found = re.search(r"\b(one|two|three|four|\d+) (?:person|people|faces?)\b", bare, re.IGNORECASE)
    if found:
        said = _COUNTS.get(found[1].casefold()) or int(found[1]) if not found[1].isalpha() else _COUNTS[found[1].casefold()]
        n = len(measured.analysis.faces)
        yield said == n, f"{n} face{'s' if n != 1 else ''} seen"


def _emotions(bare: str, measured: Measured) -> Iterator[Check]:
    # one "side" may stand at the head of a sentence for all of its clauses: "The face looks calm, then happy"
    carried: list[str] = []
    for clause in _CLAUSE.split(bare):
        sides = [name for name, pattern in _SIDE.items() if pattern.search(clause)]
        carried = sides or carried
        times = [float(v) for pair in _TIME.findall(clause) for v in pair if v]
        for word in _EMOTION.finditer(clause):
            emotion = str(word.lastgroup)
            denied = bool(_DENIED.search(clause[: word.start()]))
            yield _felt(emotion, carried, denied, times, measured)


def _felt(emotion: str, sides: list[str], denied: bool, times: list[float], measured: Measured) -> Check:
    tests: dict[str, Callable[[], bool]] = {
        "face": lambda: _in_face(emotion, times, measured.analysis),
        "voice": lambda: _in_voice(emotion, measured.analysis),
        "words": lambda: emotion in _in_words(measured),
    }
    asked = sides or list(tests)
    holds = [name for name in asked if tests[name]()]
    there = len(holds) == len(asked) if sides else bool(holds)
    where = " and ".join(asked if sides else holds) or "anything measured"
    if denied:
        return not holds, f"{emotion} {'is' if holds else 'is not'} in {where}"
    if not there and set(asked) - set(holds) == {"words"} and sides:
        return None, f"the rules cannot tell whether the words say {emotion}"  # a short list of words proves no absence
    return there, f"{emotion} {'is' if there else 'is not'} in {where}"


def _in_face(emotion: str, times: list[float], analysis: Analysis) -> bool:
    if not analysis.faces:
        return False
    reading = analysis.faces[0]
    seen = np.zeros(len(reading.track.times_s))
    if emotion in reading.labels:
        seen = smooth(reading.scores)[:, reading.labels.index(emotion)]
    # what the units say counts for the whole clip: a pattern has no second of its own in a text
    if not times:
        return bool(seen.max() >= ACTIVE) or pattern(reading) == emotion
    return all(_strong_near(reading, seen, t) for t in times)


def _strong_near(reading: FaceReading, row: Floats, time_s: float) -> bool:
    near = np.abs(reading.track.times_s - time_s) <= NEAR_S
    return bool(near.any() and row[near].max() >= ACTIVE)


def _in_voice(emotion: str, analysis: Analysis) -> bool:
    voice = analysis.voice
    if voice is None:
        return False
    names = {"neutral": ("neutral", "calm")}.get(emotion, (emotion,))
    columns = [k for k, label in enumerate(voice.labels) if label in names]
    return bool(columns) and float(np.asarray(voice.scores)[columns].sum()) >= HEARD


def _in_words(measured: Measured) -> set[str]:
    told = set(feelings(measured.text))
    heard = measured.analysis.words
    for segment in heard.segments if heard is not None and not measured.words else ():
        told |= {name for name, share in segment.scores.items() if share >= ACTIVE}
    return told


def _voice(bare: str, measured: Measured) -> Iterator[Check]:
    voice = measured.analysis.voice
    for pattern_, cues in _VOICE_CLAIMS:
        if found := pattern_.search(bare):
            there = voice is not None and bool(set(cues) & set(voice.cues))
            denied = bool(_DENIED.search(bare[: found.start()][-20:]))
            yield there != denied, f"{found.group()!r}: the voice has {', '.join(voice.cues) or 'nothing unusual'}" if voice else "no voice"


def _moves(bare: str, measured: Measured) -> Iterator[Check]:
    if re.search(r"\bhead (?:stays|is|remains) (?:nearly |almost )?still\b", bare, re.IGNORECASE):
        yield _head_still(measured.analysis), "the pose of the head"
    for move in movements(bare):
        if (move.part, move.axis) in {("face", "relax"), ("head", "moves"), ("head", "return")}:
            continue  # an emotion word, or no direction to look for
        if move.part == "speech" and not _SPOKEN.search(bare):
            continue  # "say so" is no claim that somebody speaks
        yield _moved(move, measured.analysis)


def _moved(move: Movement, analysis: Analysis) -> Check:
    if move.part == "speech":
        heard = analysis.voice is not None
        return heard or move.sign < 0, "speech was heard" if heard else "no speech was heard"
    if not analysis.faces:
        return False, "no face was seen"
    reading = analysis.faces[0]
    said = f"{move.part} {move.axis} {move.sign:+d}"
    if move.part == "head":
        return _head_moved(move, reading), f"{said}: the pose of the head"
    names = _UNITS.get((move.part, move.axis, move.sign))
    if names is None or reading.units is None:
        return None, f"{said} cannot be measured"
    sides = {"left": ("Left",), "right": ("Right",)}.get(move.side, ("Left", "Right"))
    full = [n + s for n in names for s in (sides if n in PAIRED else ("",))]
    row = smooth(reading.units)[:, [UNITS.index(n) for n in full]].max(1)
    strongest = float(row.max())
    if move.time_s is not None:
        return _strong_near(reading, row, move.time_s), f"{said}: {strongest:.2f} at most, looked for at {move.time_s:.1f} s"
    return strongest >= ACTIVE, f"{said}: {strongest:.2f} at most"


def _away(reading: FaceReading) -> Floats | None:
    """[n, 3] degrees from where the head mostly is."""
    if reading.pose is None or not np.isfinite(reading.pose).all():
        return None
    pose = smooth(reading.pose)
    return np.asarray(pose - np.median(pose, axis=0))


def _head_still(analysis: Analysis) -> bool | None:
    away = _away(analysis.faces[0]) if analysis.faces else None
    return None if away is None else bool(np.abs(away[:, 0]).max() < TURNED and np.abs(away[:, 1]).max() < LOWERED)


def _head_moved(move: Movement, reading: FaceReading) -> bool | None:
    away = _away(reading)
    if away is None or move.axis not in {"x", "y", "nod", "shake"}:
        return None
    axis, least = (0, TURNED) if move.axis in {"x", "shake"} else (1, LOWERED)
    row = away[:, axis] if move.axis == "x" else -away[:, axis]  # yaw is positive to the left, pitch positive down
    if move.axis in {"nod", "shake"}:
        return bool(row.max() - row.min() >= least)
    row = row * move.sign
    near = np.ones(len(row), bool) if move.time_s is None else np.abs(reading.track.times_s - move.time_s) <= NEAR_S
    return bool(near.any() and row[near].max() >= least)


def _silence(bare: str, measured: Measured) -> Iterator[Check]:
    """What our own sentences say is not there."""
    if re.search(r"\bno facial unit is clearly active\b", bare, re.IGNORECASE):
        faces = measured.analysis.faces
        yield bool(faces) and pattern(faces[0]) == "neutral", "the facial units"
    if re.search(r"\bwords alone do not say\b", bare, re.IGNORECASE):
        yield not feelings(measured.text), "the words tell no feeling that the rules know"
    if re.search(r"\bvoice is hard to read\b", bare, re.IGNORECASE):
        voice = measured.analysis.voice
        yield voice is not None and float(np.max(voice.scores)) < 0.5, "the voice's leading share"
