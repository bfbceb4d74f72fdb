"""Face and voice of one clip joined: what each person expresses when, how sure that is, where the two disagree, and the peaks.

Modalities are joined as independent witnesses: their log probabilities add, each weighed by how much it can be trusted, and the sum is
cooled so that confidence means what it says. Calibrated on faces and voices paired by label (FER+ with RAVDESS, val), since
nothing labelled has both of one moment: real pairs depend on one another, so trust the confidence less where only weak signs agree.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from emollm.values import Analysis, FaceReading, Floats, VoiceReading

EMOTIONS = ("neutral", "happy", "sad", "angry", "fear", "surprise", "disgust", "contempt", "bored")
_ALIASES = {"calm": "neutral"}
STEP_S = 0.5
TRUST = 0.85  # weight of each witness when there are several; fitted, see docs/results.md
SURE = 0.45  # confidence below which nothing should be said without "perhaps"
CLASH = 0.5  # probability that both sides of a disagreement must have
LEAST_S = 0.75  # shorter moments are joined with their neighbours
MOST_PEAKS = 5
_PLEASANT, _UNPLEASANT = {"happy"}, {"sad", "angry", "fear", "disgust", "contempt"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A stretch in which one person expresses one thing."""

    start_s: float
    end_s: float
    person: int | None  # index of the face; None for a voice that no visible mouth goes with
    label: str
    confidence: float
    scores: Floats  # [C] mean over the stretch, in the order of `EMOTIONS`
    sides: Mapping[str, str]  # modality -> its own leading label


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two modalities that tell different things at the same time."""

    start_s: float
    end_s: float
    person: int | None
    first: tuple[str, str]  # modality, label
    second: tuple[str, str]

    @property
    def text(self) -> str:
        """In words."""
        return f"{_phrase(*self.first)} over {_phrase(*self.second)}, {self.start_s:.1f} to {self.end_s:.1f} s"


@dataclass(frozen=True, slots=True)
class Peak:
    """The strongest point of an expression."""

    time_s: float
    person: int | None
    modality: Literal["face", "voice"]
    label: str
    strength: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole clip."""

    scores: Floats  # [C] of the main character over the clip, in the order of `EMOTIONS`
    moments: tuple[Moment, ...]
    disagreements: tuple[Disagreement, ...]
    peaks: tuple[Peak, ...]

    @property
    def label(self) -> str:
        """The leading emotion."""
        return EMOTIONS[int(self.scores.argmax())]

    @property
    def confidence(self) -> float:
        """Its probability."""
        return float(self.scores.max())


def join(*witnesses: Floats, trust: float = TRUST) -> Floats:
    """Distributions [..., C] over `EMOTIONS` to one; a single witness is believed as it is."""
    if len(witnesses) == 1:
        return witnesses[0]
    logits = trust * sum(np.log(np.maximum(w, 1e-4)) for w in witnesses)
    weights = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def spread(labels: tuple[str, ...], scores: Floats) -> Floats:
    """Scores [..., c] of a modality's own labels to [..., C] over `EMOTIONS`; an emotion it does not know gets its average.

    An emotion outside a modality's labels is neither supported nor denied by it.
    """
    found = np.zeros((*np.shape(scores)[:-1], len(EMOTIONS)))
    known = [_ALIASES.get(label, label) for label in labels]
    for k, label in enumerate(known):
        found[..., EMOTIONS.index(label)] += scores[..., k]
    others = [i for i, name in enumerate(EMOTIONS) if name not in known]
    if others:
        found[..., others] = 1 / (len(labels) * len(EMOTIONS))  # hardly ever the first choice, and never ruled out
    return found / found.sum(-1, keepdims=True)


def judge(analysis: Analysis) -> Verdict | None:
    """Join what was measured; None where there is neither face nor voice."""
    voice = analysis.voice
    if not analysis.faces and voice is None:
        return None
    end = max(analysis.duration_s, STEP_S)
    edges = np.arange(0, end, STEP_S)
    moments: list[Moment] = []
    clashes: list[Disagreement] = []
    people: list[int | None] = list(range(len(analysis.faces)))
    if voice is not None and (not people or any(s is None for s in voice.speakers or (None,))):
        people.append(None)
    whole: Floats | None = None
    for person in people:
        face = _face_steps(analysis.faces[person], edges) if person is not None else np.full((len(edges), len(EMOTIONS)), np.nan)
        heard = _voice_steps(voice, edges, person, alone=len(analysis.faces) == 1)
        joined = np.full_like(face, np.nan)
        for i in range(len(edges)):
            sides = [side[i] for side in (face, heard) if np.isfinite(side[i, 0])]
            if sides:
                joined[i] = join(*sides)
        if person == (people[0] if analysis.faces else None):
            known = np.isfinite(joined[:, 0])
            whole = joined[known].mean(0) if known.any() else None
        said = _word_steps(analysis, heard, edges)
        sides_of = {"face": face, "voice": heard, "words": said}
        moments += _moments(joined, sides_of, edges, end, person)
        for first, second in itertools.combinations(sides_of, 2):
            clashes += _clashes((first, sides_of[first]), (second, sides_of[second]), edges, end, person)
    if whole is None:
        return None
    moments.sort(key=lambda m: (m.start_s, -1 if m.person is None else m.person))
    return Verdict(whole, tuple(moments), tuple(clashes), tuple(_peaks(analysis)))


def _face_steps(face: FaceReading, edges: Floats) -> Floats:
    """[steps, C], NaN where the person is not seen."""
    scores = spread(face.labels, face.scores)
    found = np.full((len(edges), len(EMOTIONS)), np.nan)
    step = np.searchsorted(edges, face.track.times_s, side="right") - 1
    for i in np.unique(np.clip(step, 0, len(edges) - 1)):
        found[i] = scores[step == i].mean(0)
    return found


def _voice_steps(voice: VoiceReading | None, edges: Floats, person: int | None, *, alone: bool) -> Floats:
    """[steps, C] of the person's own voice, NaN where they do not speak.

    Speech that no mouth goes with is the only visible person's where there is one, else nobody's.
    """
    found = np.full((len(edges), len(EMOTIONS)), np.nan)
    if voice is None:
        return found
    pieces = voice.pieces_s or ((voice.spans_s[0][0], voice.spans_s[-1][1]),)
    scores = spread(voice.labels, voice.piece_scores if voice.piece_scores is not None else voice.scores[None])
    speakers = voice.speakers or (None,) * len(voice.spans_s)
    for (begin, end), who in zip(voice.spans_s, speakers, strict=True):
        owner = 0 if who is None and alone else who
        if owner != person:
            continue
        for i in np.flatnonzero((edges < end) & (edges + STEP_S > begin)):
            middle = min(max(edges[i] + STEP_S / 2, begin), end)
            piece = next((k for k, (a, b) in enumerate(pieces) if a <= middle <= b), None)
            if piece is not None:
                found[i] = scores[piece]
    return found


def _word_steps(analysis: Analysis, heard: Floats, edges: Floats) -> Floats:
    """[steps, C] what the words say while the person speaks, NaN elsewhere and where nobody read them.

    They are no third witness: a small model's reading of words is not calibrated. They stand beside, and may disagree.
    """
    found = np.full_like(heard, np.nan)
    for segment in analysis.words.segments if analysis.words is not None else ():
        if segment.scores:
            inside = (edges < segment.end_s) & (edges + STEP_S > segment.start_s) & np.isfinite(heard[:, 0])
            found[inside] = spread(tuple(segment.scores), np.array(list(segment.scores.values())))
    return found


def _moments(joined: Floats, sides_of: Mapping[str, Floats], edges: Floats, end: float, person: int | None) -> list[Moment]:
    known = np.isfinite(joined[:, 0])
    tops = np.where(known, np.nan_to_num(joined).argmax(1), -1)
    runs: list[list[int]] = []
    for i, top in enumerate(tops):
        if top < 0:
            continue
        if runs and runs[-1][-1] == i - 1 and tops[runs[-1][0]] == top:
            runs[-1].append(i)
        else:
            runs.append([i])
    runs = _without_flickers(runs)
    found = []
    for run in runs:
        scores = joined[run].mean(0)
        sides = {
            name: EMOTIONS[int(np.nanmean(side[run], axis=0).argmax())]
            for name, side in sides_of.items()
            if np.isfinite(side[run, 0]).any()
        }
        start, stop = float(edges[run[0]]), float(min(edges[run[-1]] + STEP_S, end))
        found.append(Moment(start, stop, person, EMOTIONS[int(scores.argmax())], float(scores.max()), scores, sides))
    return found


def _without_flickers(runs: list[list[int]]) -> list[list[int]]:
    """Runs shorter than `LEAST_S` go to the neighbour they touch."""
    kept: list[list[int]] = []
    for run in runs:
        if kept and run[0] == kept[-1][-1] + 1 and (len(run) * STEP_S < LEAST_S or len(kept[-1]) * STEP_S < LEAST_S):
            kept[-1] = kept[-1] + run
        else:
            kept.append(run)
    return kept


def _clashes(first: tuple[str, Floats], second: tuple[str, Floats], edges: Floats, end: float, person: int | None) -> list[Disagreement]:
    found: list[Disagreement] = []
    (name, mine), (other_name, theirs) = first, second
    for i in np.flatnonzero(np.isfinite(mine[:, 0]) & np.isfinite(theirs[:, 0])):
        one, other = EMOTIONS[int(mine[i].argmax())], EMOTIONS[int(theirs[i].argmax())]
        if min(mine[i].max(), theirs[i].max()) < CLASH or not _opposed(one, other):
            continue
        start, stop = float(edges[i]), float(min(edges[i] + STEP_S, end))
        last = found[-1] if found else None
        if last is not None and last.end_s == start and (last.first[1], last.second[1]) == (one, other):
            found[-1] = Disagreement(last.start_s, stop, person, last.first, last.second)
        else:
            found.append(Disagreement(start, stop, person, (name, one), (other_name, other)))
    return found


def _opposed(one: str, other: str) -> bool:
    """One pleasant and the other unpleasant, or two different unpleasant ones; nothing is opposed to calm."""
    pleasant = {one, other} & _PLEASANT
    unpleasant = {one, other} & _UNPLEASANT
    return bool(pleasant and unpleasant) or (len(unpleasant) == 2)


def _peaks(analysis: Analysis) -> list[Peak]:
    found: list[Peak] = []
    for person, face in enumerate(analysis.faces):
        quiet = face.labels.index("neutral") if "neutral" in face.labels else None
        strength = 1 - face.scores[:, quiet] if quiet is not None else face.scores.max(1)
        if face.condition is not None:
            strength = np.sqrt(strength * face.condition[:, 0])
        loud = np.array(face.scores, float)
        if quiet is not None:
            loud[:, quiet] = 0
        left = np.array(strength)
        while len(left) and left.max() > 0.5 and sum(p.person == person for p in found) < MOST_PEAKS:
            k = int(left.argmax())
            time_s = float(face.track.times_s[k])
            found.append(Peak(time_s, person, "face", face.labels[int(loud[k].argmax())], float(strength[k])))
            left[np.abs(face.track.times_s - time_s) < 1.5] = 0
    voice = analysis.voice
    if voice is not None and voice.piece_scores is not None:
        scores = spread(voice.labels, voice.piece_scores)
        scores[:, EMOTIONS.index("neutral")] = 0
        for k in np.argsort(-scores.max(1))[:MOST_PEAKS]:
            if scores[k].max() > 0.5:
                found.append(
                    Peak(_loudest(voice, voice.pieces_s[k]), None, "voice", EMOTIONS[int(scores[k].argmax())], float(scores[k].max()))
                )
    return sorted(found, key=lambda p: p.time_s)


def _loudest(voice: VoiceReading, piece: tuple[float, float]) -> float:
    """The loudest tenth of a second of a piece; its middle where no curve is known."""
    if voice.curve is None:
        return round(sum(piece) / 2, 2)
    inside = np.flatnonzero((voice.curve.times_s >= piece[0]) & (voice.curve.times_s < piece[1]))
    return round(float(voice.curve.times_s[inside[voice.curve.level_db[inside].argmax()]]), 2) if len(inside) else round(sum(piece) / 2, 2)


def _phrase(modality: str, label: str) -> str:
    """ "a happy face", "an angry voice", "sad words"."""
    how = _ADJECTIVES.get(label, label)
    return f"{how} words" if modality == "words" else f"{'an' if how[0] in 'aeiou' else 'a'} {how} {modality}"


_ADJECTIVES = {"fear": "fearful", "surprise": "surprised", "disgust": "disgusted", "contempt": "contemptuous"}
