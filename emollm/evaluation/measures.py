"""Measurements against the exact truth of synthetic clips: facial units, head pose, who speaks, and when words begin."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emollm import __version__
from emollm.errors import DataError
from emollm.evaluation.cards import MeasureCard
from emollm.evaluation.slices import Measured, appearance_of, slices, slices_table
from emollm.perception import Perception
from emollm.synth.dataset import read_truth
from emollm.units import UNITS
from emollm.values import Analysis, FaceReading, Floats

VISIBLE = 0.5  # share of the face that must be free
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
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure every clip of a folder and write results.json.

    Args:
        card: Named in the results.
        perception: Who measures.
        data: Folder made by `emollm synth`.
        out: Folder for results.json.
        limit: Only so many clips, the first by name.
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
        "headline": card.headline,
        "n": len(paths),
        "emollm": __version__,
        **_summary(found),
        "slices": slices(found.people),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return results


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
    if found.units:
        mine, true = (np.concatenate(side) for side in zip(*found.units, strict=True))
        moved = [i for i in range(len(UNITS)) if true[:, i].std() > LEAST_SPREAD]
        each = {UNITS[i]: round(float(np.corrcoef(mine[:, i], true[:, i])[0, 1]), 3) for i in moved}
        metrics |= {"units_correlation": round(float(np.mean(list(each.values()))), 3), "units": each, "unit_frames": len(mine)}
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
    return {"metrics": metrics}


def measures_table(results: dict[str, Any]) -> str:
    """Results as Markdown, as in docs/results.md."""
    m = results["metrics"]
    lines = [f"| measure ({results['n']} clips) | found |", "| --- | --- |"]
    if "units_correlation" in m:
        lines.append(
            f"| facial units, mean correlation over {len(m['units'])} units, {m['unit_frames']} frames | {m['units_correlation']:.3f} |"
        )
        order = sorted(m["units"].items(), key=lambda row: -row[1])
        lines.append("| of each unit | " + ", ".join(f"{name} {value:.2f}" for name, value in order) + " |")
    if "pose_error_degrees" in m:
        lines.append("| head pose, mean error in degrees | " + ", ".join(f"{k} {v:.1f}" for k, v in m["pose_error_degrees"].items()) + " |")
    lines.append("| who speaks, stretches of speech | " + ", ".join(f"{v} {k}" for k, v in m["speakers"].items()) + " |")
    if "words" in m:
        w = m["words"]
        lines.append(
            f"| word starts ({w['matched']} words heard right) | median {w['median_s']:.2f} s, 90 % within {w['ninetieth_s']:.2f} s |"
        )
    if "main_character" in m:
        lines.append(f"| main character, clips with several people | {m['main_character']['right']} of {m['main_character']['clips']} |")
    if results.get("slices"):
        lines += ["", slices_table(results["slices"])]
    return "\n".join(lines)
