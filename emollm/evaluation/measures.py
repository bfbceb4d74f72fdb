"""Measurements against the exact truth of synthetic clips: facial units, head pose, who speaks, and when words begin."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emollm import markdown
from emollm.errors import DataError
from emollm.evaluation.blind import warnings_of
from emollm.evaluation.blind_texts import Floor
from emollm.evaluation.cards import MeasureCard
from emollm.evaluation.metrics import middle
from emollm.evaluation.results import SEED, write
from emollm.evaluation.slices import Measured, appearance_of, slices, slices_table
from emollm.perception import Perception
from emollm.synth.dataset import read_truth
from emollm.units import UNITS
from emollm.values import Analysis, FaceReading, Floats

VISIBLE = 0.5  # share of the face that must be free
ROUNDS = 400  # of the bootstrap over faces
LEAST_SPREAD = 0.01  # standard deviation below which a unit hardly ever moved


@dataclass(slots=True)
class _Collected:
    units: list[tuple[Floats, Floats]] = field(default_factory=list)  # measured, true
    pose: list[tuple[Floats, Floats]] = field(default_factory=list)
    speakers: dict[str, int] = field(default_factory=lambda: {"right": 0, "wrong": 0, "nobody": 0})
    word_gaps_s: list[float] = field(default_factory=list)
    main: list[bool] = field(default_factory=list)
    people: list[Measured] = field(default_factory=list)


def evaluate_measures(
    card: MeasureCard,
    perception: Perception,
    data: Path,
    out: Path,
    *,
    limit: int | None = None,
    system: str = "",
    scale: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure every clip of a folder and write results.json.

    Args:
        card: Named in the results.
        perception: Who measures.
        data: Folder made by `emollm synth`.
        out: Folder for results.json.
        limit: Only so many clips, the first by name.
        system: Whose encoders they are.
        scale: Of the system.
        progress: Called with clips done and clips in all.

    Raises:
        DataError: There are no synthetic clips in `data`.
    """
    paths = sorted((data / "truth").glob("*.json.gz"))[:limit]
    if not paths:
        raise DataError(f"{data} holds no synthetic clips; make some: emollm synth --out {data} --benchmark synth-fec --split val.")
    found = _Collected()
    for number, path in enumerate(paths):
        truth = read_truth(path)
        analysis, _ = perception.look(data / "clips" / f"{truth['name']}.mp4")
        _compare(found, truth, analysis)
        if progress is not None:
            progress(number + 1, len(paths))
    results = {
        "card": card.name,
        "card_version": card.version,
        "about": card.about,
        "task": "measures",
        "system": system,
        "scale": scale,
        "n": len(paths),
        "headline": card.headline,
        **_summary(found),
        "slices": slices(found.people),
    }
    return write(out, results)


def _compare(found: _Collected, truth: dict[str, Any], analysis: Analysis) -> None:
    who: dict[int, int] = {}  # index of the face -> index of the person
    for k, reading in enumerate(analysis.faces):
        person = _person_of(reading, truth)
        if person is None:
            continue
        who[k] = person
        _frames(found, truth["people"][person], truth["fps"], reading)
    if len(truth["people"]) > 1 and analysis.faces:
        found.main.append(0 in who and bool(truth["people"][who[0]]["main"]))
    _speech(found, truth, analysis, who)


def _person_of(reading: FaceReading, truth: dict[str, Any]) -> int | None:
    """Whose box holds the middle of the face most of the time."""
    votes: dict[int, int] = {}
    for box, time_s in zip(reading.track.boxes, reading.track.times_s, strict=True):
        x, y = (box[:2] + box[2:]) / 2
        for k, person in enumerate(truth["people"]):
            left, top, right, bottom = person["boxes"][_at(time_s, truth["fps"], len(person["boxes"]))]
            if left < x < right and top < y < bottom:
                votes[k] = votes.get(k, 0) + 1
    return max(votes, key=lambda k: votes[k]) if votes else None


def _at(time_s: float, fps: float, count: int) -> int:
    return min(count - 1, round(float(time_s) * fps))


def _frames(found: _Collected, person: dict[str, Any], fps: float, reading: FaceReading) -> None:
    at = [_at(t, fps, len(person["units"])) for t in reading.track.times_s]
    free = np.array([person["visible"][t] >= VISIBLE for t in at])
    if reading.units is not None and free.any():
        mine, true = reading.units[free], np.array(person["units"])[at][free]
        found.units.append((mine, true))
        found.people.append(Measured(appearance_of(person), _correlations(mine, true)))
    if reading.pose is not None and free.any():
        found.pose.append((reading.pose[free], np.array(person["head"])[at][free]))


def _correlations(mine: Floats, true: Floats) -> dict[str, float]:
    """Of the units that moved and were not measured as still."""
    moved = [i for i in range(len(UNITS)) if true[:, i].std() > LEAST_SPREAD]
    return {UNITS[i]: float(np.corrcoef(mine[:, i], true[:, i])[0, 1]) if mine[:, i].std() > 0 else 0.0 for i in moved}


def _speech(found: _Collected, truth: dict[str, Any], analysis: Analysis, who: dict[int, int]) -> None:
    if analysis.voice is None:
        return
    for (begin, end), speaker in zip(analysis.voice.spans_s, analysis.voice.speakers, strict=True):
        said = [sum(max(0.0, min(b, end) - max(a, begin)) for _, a, b in p["words"]) for p in truth["people"]]
        if max(said, default=0) <= 0:
            continue
        right = int(np.argmax(said))
        answer = "nobody" if speaker is None else "right" if who.get(speaker) == right else "wrong"
        found.speakers[answer] += 1
    if analysis.words is None:
        return
    true = sorted((a, _bare(w)) for p in truth["people"] for w, a, _ in p["words"])
    heard = [(w.start_s, _bare(w.text)) for s in analysis.words.segments for w in s.words]
    for block in difflib.SequenceMatcher(None, [w for _, w in true], [w for _, w in heard], autojunk=False).get_matching_blocks():
        found.word_gaps_s += [abs(true[block.a + k][0] - heard[block.b + k][0]) for k in range(block.size)]


def _bare(word: str) -> str:
    return "".join(c for c in word.lower() if c.isalnum())


def _summary(found: _Collected) -> dict[str, Any]:
    metrics: dict[str, Any] = {"speakers": found.speakers}
    scored: dict[str, Any] = {"metrics": metrics, "floors": {}, "warnings": []}
    if found.units:
        metrics |= _units(found.units)
        other = [*found.units[1:], found.units[0]]
        crossed = _units(
            [(mine[:k], true[:k]) for (mine, _), (_, true) in zip(found.units, other, strict=True) for k in [min(len(mine), len(true))]]
        )
        floors = {
            "constant": Floor({"units_correlation": 0.0}, "the same for every frame"),
            "shuffled_media": Floor({"units_correlation": crossed["units_correlation"]}, "what was measured of the next face"),
        }
        scored["floors"] = {name: floor.measures for name, floor in floors.items()}
        scored["floor_answers"] = {name: floor.answer for name, floor in floors.items()}
        low, high = metrics["interval"]
        scored["warnings"] = warnings_of("units_correlation", {"units_correlation": metrics["units_correlation"]}, low, high, floors)
    if found.pose:
        mine, true = (np.concatenate(side) for side in zip(*found.pose, strict=True))
        error = np.nanmean(np.abs(mine - true), 0)
        metrics["pose_error_degrees"] = {n: round(float(v), 2) for n, v in zip(("yaw", "pitch", "roll"), error, strict=True)}
    if found.word_gaps_s:
        gaps = np.array(found.word_gaps_s)
        metrics["words"] = {
            "matched": len(gaps),
            "median_s": round(float(np.median(gaps)), 3),
            "ninetieth_s": round(float(np.percentile(gaps, 90)), 3),
        }
    if found.main:
        metrics["main_character"] = {"right": sum(found.main), "clips": len(found.main)}
    return scored


def _units(faces: Sequence[tuple[Floats, Floats]]) -> dict[str, Any]:
    """Correlation over all frames of every unit that moved, their mean, and its interval over faces."""
    moments = np.stack([_moments(mine, true) for mine, true in faces])  # [faces, 6, units]
    moved = _spread(moments.sum(0), 2, 4) > LEAST_SPREAD
    each = _correlation(moments.sum(0)[:, moved])
    rng = np.random.default_rng(SEED)
    again = [moments[rng.integers(0, len(faces), len(faces))].sum(0)[:, moved] for _ in range(ROUNDS)]
    low, high = middle(sorted(float(np.mean(_correlation(m))) if moved.any() else 0.0 for m in again))
    return {
        "units_correlation": round(float(np.mean(each)) if len(each) else 0.0, 3),
        "interval": [round(low, 4), round(high, 4)],
        "units": {UNITS[i]: round(float(v), 3) for i, v in zip(np.flatnonzero(moved), each, strict=True)},
        "unit_frames": int(moments[:, 0, 0].sum()),
    }


def _moments(mine: Floats, true: Floats) -> Floats:
    """What correlations sum up, [6, units]: frames, sums of both, of their squares and of their product."""
    return np.stack(
        [np.full(mine.shape[1], float(len(mine))), mine.sum(0), true.sum(0), (mine**2).sum(0), (true**2).sum(0), (mine * true).sum(0)]
    )


def _spread(m: Floats, first: int, second: int) -> Floats:
    """Standard deviation from the rows of sums and of squares."""
    return np.asarray(np.sqrt(np.maximum(0.0, m[second] / m[0] - (m[first] / m[0]) ** 2)))


def _correlation(m: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (m[5] / m[0] - m[1] * m[2] / m[0] ** 2) / (_spread(m, 1, 3) * _spread(m, 2, 4))
    return np.asarray(np.where(np.isfinite(found), found, 0.0))


def measures_table(results: dict[str, Any]) -> str:
    """Results as Markdown, as in docs/results.md."""
    m = results["metrics"]
    rows: list[tuple[str, str]] = []
    if "units_correlation" in m:
        what = f"facial units, mean correlation over {len(m['units'])} units, {m['unit_frames']} frames"
        rows.append((what, f"{m['units_correlation']:.3f}"))
        order = sorted(m["units"].items(), key=lambda row: -row[1])
        rows.append(("of each unit", ", ".join(f"{name} {value:.2f}" for name, value in order)))
    if "pose_error_degrees" in m:
        rows.append(("head pose, mean error in degrees", ", ".join(f"{k} {v:.1f}" for k, v in m["pose_error_degrees"].items())))
    rows.append(("who speaks, stretches of speech", ", ".join(f"{v} {k}" for k, v in m["speakers"].items())))
    if "words" in m:
        w = m["words"]
        rows.append(
            (f"word starts ({w['matched']} words heard right)", f"median {w['median_s']:.2f} s, 90 % within {w['ninetieth_s']:.2f} s")
        )
    if "main_character" in m:
        rows.append(("main character, clips with several people", f"{m['main_character']['right']} of {m['main_character']['clips']}"))
    found = markdown.table((f"measure ({results['n']} clips)", "found"), rows)
    return f"{found}\n\n{slices_table(results['slices'])}" if results.get("slices") else found
