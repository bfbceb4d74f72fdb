"""How well people are followed: identity switches, missed faces, false faces and the main character, on scenes whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from emollm import __version__
from emollm.evaluation.cards import SceneCard
from emollm.media.detector import overlap
from emollm.perception import Perception
from emollm.synth.scenes import CASES, FPS, HEIGHT, WIDTH, Scene, Standing, make_scene
from emollm.values import Clip, FaceTrack

SAME = 0.2  # overlap of boxes from which a found face is the person's; the truth's boxes reach from chin to hairline
VISIBLE = 0.5  # share of a face that must be free for it to count as missed
INSIDE = 0.6  # and share of its box that must be in the picture
LEAST_PX = 20  # and its height


@dataclass(frozen=True, slots=True)
class Followed:
    """Counts of one scene, or the sum over several."""

    faces: int = 0  # that could be seen, over all frames
    missed: int = 0
    false: int = 0  # found where nobody is
    switches: int = 0  # times a person's track changed
    scenes: int = 0
    main: int = 0  # scenes whose main character was found
    with_main: int = 0

    def __add__(self, other: Followed) -> Followed:
        return Followed(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def follow(scene: Scene, tracks: Sequence[FaceTrack], *, most: int = 8) -> Followed:
    """Score the tracks of one scene.

    Args:
        scene: With its truth.
        tracks: What was found, the main character first.
        most: People the tracker is allowed to follow; in a crowd no more count as missed.
    """
    last: dict[int, int] = {}
    faces = missed = false = switches = 0
    leads: list[int] = []
    for t, standing in enumerate(scene.people):
        here = {k: track.boxes[np.flatnonzero(track.index == t)[0]] for k, track in enumerate(tracks) if t in track.index}
        seen = [p for p in standing if _can_be_seen(p)]
        found = _paired(seen, here)
        due = min(len(seen), most)
        faces += due
        missed += max(0, due - sum(p.person in found for p in seen))
        false += sum(k not in found.values() and not any(overlap(box, np.array(p.box)) > 0.05 for p in standing) for k, box in here.items())
        for person, track in found.items():
            switches += person in last and last[person] != track
            last[person] = track
            if track == 0:
                leads.append(person)
    lead = max(set(leads), key=leads.count) if leads else None
    has = scene.main is not None
    return Followed(faces, missed, false, switches, 1, int(has and lead == scene.main), int(has))


def _paired(standing: Sequence[Standing], here: dict[int, Any]) -> dict[int, int]:
    """Person -> track, greatest overlap first, nobody twice."""
    options = sorted(((overlap(np.array(p.box), box), p.person, k) for p in standing for k, box in here.items()), reverse=True)
    found: dict[int, int] = {}
    for value, person, track in options:
        if value >= SAME and person not in found and track not in found.values():
            found[person] = track
    return found


def _height(person: Standing) -> float:
    return person.box[3] - person.box[1]


def _can_be_seen(person: Standing) -> bool:
    left, top, right, bottom = person.box
    wide, tall = min(right, WIDTH) - max(left, 0), min(bottom, HEIGHT) - max(top, 0)
    inside = wide > 0 and tall > 0 and wide * tall > INSIDE * (right - left) * (bottom - top)
    return inside and person.visible >= VISIBLE and _height(person) >= LEAST_PX


def evaluate_scenes(
    card: SceneCard, perception: Perception, out: Path, *, limit: int | None = None, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Render the card's scenes, measure each, and write results.json.

    Args:
        card: Which scenes.
        perception: Who follows.
        out: Folder for results.json.
        limit: Only so many scenes, of all cases in turn.
        progress: Called with scenes done and scenes in all.
    """
    jobs = [(case, number) for number in range(card.each) for case in CASES][:limit]

    def tracks_of(scene: Scene) -> list[FaceTrack]:
        clip = Clip(scene.case, "video", "", len(scene.frames) / FPS, scene.frames, scene.times_s, None)
        return [face.track for face in perception.measure(clip).faces]

    found = score_scenes(
        (make_scene(case, number, card.seed) for case, number in jobs), tracks_of, lambda n: progress(n, len(jobs)) if progress else None
    )
    results = {"card": card.name, "card_version": card.version, "headline": card.headline, "n": len(jobs), "emollm": __version__, **found}
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return results


def scenes_table(results: dict[str, Any]) -> str:
    """Results as a Markdown table, as in docs/results.md."""
    lines = ["| case | scenes | faces | missed | false | switches | main character right |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for name, row in {**results["cases"], "all": results["all"]}.items():
        missed = f"{row['missed']} ({row['missed_share']:.1%})" if row["faces"] else "-"
        main = f"{row['main']} of {row['with_main']}" if row["with_main"] else "-"
        lines.append(f"| {name} | {row['scenes']} | {row['faces']} | {missed} | {row['false']} | {row['switches']} | {main} |")
    return "\n".join(lines)


def score_scenes(
    scenes: Iterable[Scene], tracks_of: Callable[[Scene], Sequence[FaceTrack]], progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Follow every scene; counts by case and in all."""
    cases: dict[str, Followed] = {}
    for number, scene in enumerate(scenes):
        cases[scene.case] = cases.get(scene.case, Followed()) + follow(scene, tracks_of(scene))
        if progress is not None:
            progress(number + 1)
    whole = sum(cases.values(), Followed())
    return {"all": _plain(whole), "cases": {name: _plain(counts) for name, counts in cases.items()}}


def _plain(counts: Followed) -> dict[str, Any]:
    row = {f.name: getattr(counts, f.name) for f in fields(counts)}
    return row | {
        "missed_share": round(counts.missed / counts.faces, 4) if counts.faces else None,
        "main_accuracy": round(counts.main / counts.with_main, 4) if counts.with_main else None,
    }
