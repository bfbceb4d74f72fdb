"""How well people are followed: identity switches, missed faces, false faces and the main character, on scenes whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from emollm import markdown
from emollm.evaluation.blind import warnings_of
from emollm.evaluation.blind_texts import Floor
from emollm.evaluation.cards import SceneCard
from emollm.evaluation.comparison import bounds
from emollm.evaluation.results import write
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
    central: int = 0  # scenes whose main character is who stands nearest to the middle most of the time
    luck: float = 0.0  # scenes whose main character would be found by choosing anybody

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
    people = {p.person for standing in scene.people for p in standing}
    luck = 1 / len(people) if has and people else 0.0
    return Followed(
        faces, missed, false, switches, 1, int(has and lead == scene.main), int(has), int(has and _central(scene) == scene.main), luck
    )


def _central(scene: Scene) -> int | None:
    """Who is nearest to the middle of the picture in most frames: a guess that looks at no face."""
    nearest = [min(standing, key=_off_centre).person for standing in scene.people if standing]
    return max(sorted(set(nearest)), key=nearest.count) if nearest else None


def _off_centre(person: Standing) -> float:
    left, top, right, bottom = person.box
    return float(np.hypot((left + right - WIDTH) / 2, (top + bottom - HEIGHT) / 2))


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
    card: SceneCard, perception: Perception, out: Path, *, limit: int | None = None, system: str = "", scale: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Render the card's scenes, measure each, and write results.json.

    Args:
        card: Which scenes.
        perception: Who follows.
        out: Folder for results.json.
        limit: Only so many scenes, of all cases in turn.
        system: Whose encoders they are.
        scale: Of the system.
        progress: Called with scenes done and scenes in all.
    """
    jobs = [(case, number) for number in range(card.each) for case in CASES][:limit]

    def tracks_of(scene: Scene) -> list[FaceTrack]:
        clip = Clip(scene.case, "video", "", len(scene.frames) / FPS, scene.frames, scene.times_s, None)
        return [face.track for face in perception.measure(clip).faces]

    found = score_scenes(
        (make_scene(case, number, card.seed) for case, number in jobs), tracks_of, lambda n: progress(n, len(jobs)) if progress else None
    )
    results = {
        "card": card.name,
        "card_version": card.version,
        "about": card.about,
        "task": "scenes",
        "system": system,
        "scale": scale,
        "n": len(jobs),
        "headline": card.headline,
        **found,
    }
    return write(out, results, seed=card.seed)


def scenes_table(results: dict[str, Any]) -> str:
    """Results as a Markdown table, as in docs/results.md."""
    rows = []
    for name, row in {**results["cases"], "all": results["all"]}.items():
        missed = f"{row['missed']} ({row['missed_share']:.1%})" if row["faces"] else "-"
        main = f"{row['main']} of {row['with_main']}" if row["with_main"] else "-"
        rows.append((name, row["scenes"], row["faces"], missed, row["false"], row["switches"], main))
    return markdown.table(("case", "scenes", "faces", "missed", "false", "switches", "main character right"), rows)


def score_scenes(
    scenes: Iterable[Scene], tracks_of: Callable[[Scene], Sequence[FaceTrack]], progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Follow every scene; counts by case and in all."""
    each: list[tuple[str, Followed]] = []
    for number, scene in enumerate(scenes):
        each.append((scene.case, follow(scene, tracks_of(scene))))
        if progress is not None:
            progress(number + 1)
    whole = sum((counts for _, counts in each), Followed())
    cases = {name: sum((c for case, c in each if case == name), Followed()) for name in dict.fromkeys(case for case, _ in each)}
    return {**_scored([c for _, c in each if c.with_main]), "all": _plain(whole), "cases": {name: _plain(c) for name, c in cases.items()}}


def _scored(led: Sequence[Followed]) -> dict[str, Any]:
    """The main character over the scenes that have one, with its interval and floors; nothing where none has."""
    if not led:
        return {"metrics": {}, "floors": {}, "warnings": []}
    found = bounds([c.main for c in led], lambda some: sum(some) / len(some), rounds=400)
    floors = {
        "anybody": Floor({"main_accuracy": round(sum(c.luck for c in led) / len(led), 4)}, "somebody of the scene, by chance"),
        "central": Floor(
            {"main_accuracy": round(sum(c.central for c in led) / len(led), 4)}, "who stands nearest to the middle of the picture"
        ),
    }
    return {
        "metrics": {"main_accuracy": round(found.value, 4), "interval": [round(found.low, 4), round(found.high, 4)]},
        "floors": {name: floor.measures for name, floor in floors.items()},
        "floor_answers": {name: floor.answer for name, floor in floors.items()},
        "warnings": warnings_of("main_accuracy", {"main_accuracy": found.value}, found.low, found.high, floors),
    }


def _plain(counts: Followed) -> dict[str, Any]:
    row = {f.name: round(getattr(counts, f.name), 4) for f in fields(counts)}
    return row | {
        "missed_share": round(counts.missed / counts.faces, 4) if counts.faces else None,
        "main_accuracy": round(counts.main / counts.with_main, 4) if counts.with_main else None,
    }
