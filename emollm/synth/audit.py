"""How real the synthetic people are, by networks that never saw a render: found, named, told apart, and where their landmarks lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emollm.values import Floats

Say = Callable[[str, float], None]
PROTOTYPES = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
FRAME_PX = 224
STRONG = 1.1  # strength of a prototype, whatever the person's habit
_CORNERS = (36, 45)  # outer corners of the eyes among the 68, whose distance landmark benchmarks divide by
_INNER = slice(17, None)  # of the usual 68 points: without the jaw, whose outline is where the picture ends, not a place of the skin


def audit(out: Path, *, stills: int = 280, people: int = 60, frames: int = 500, say: Say | None = None) -> dict[str, Any]:
    """Look at the clips of a folder, and at stills of other people made for this.

    Args:
        out: Folder of `emollm.synth.dataset.make`.
        stills: Strong prototypes for the expression judge, a seventh of each.
        people: For the identity judge, three pictures of each.
        frames: Drawn at random from the clips for the face detector.
        say: Progress: what, share done.

    Returns:
        "detector", "landmarks", "jaw", "expressions", "identity": plain values, as written to audit.json.

    Raises:
        CheckpointError: The judges were never fetched; the message names the command.
    """
    from emollm import weights
    from emollm.encoders.judges import ExpressionJudge, IdentityJudge
    from emollm.media.tracks import FaceTracker

    tell = say or (lambda what, share: None)
    tracker = FaceTracker(weights.locate("mediapipe-face"))
    return {
        **_frames(out, tracker, frames, tell),
        "expressions": expressions(ExpressionJudge.from_folder(weights.locate("face-expression")), tracker, stills, tell),
        "identity": identities(IdentityJudge.from_folder(weights.locate("faceres")), tracker, people, tell),
    }


def expressions(judge: Any, tracker: Any, stills: int, say: Say, *, seed: int = 7 << 40) -> dict[str, Any]:
    """Share of strong prototypes that the judge calls by their name, over all and by family, and what it says instead."""
    from emollm.encoders.judges import SEEN, name_expressions
    from emollm.synth.expressions import draw_expression
    from emollm.synth.render import Actor

    said = {name: dict.fromkeys(PROTOTYPES, 0) for name in PROTOTYPES}
    for n in range(stills):
        family = PROTOTYPES[n % len(PROTOTYPES)]
        actor = Actor.by_seed(seed + n)
        rng = np.random.default_rng([seed, n])
        drawn = draw_expression(family, actor.person, rng, STRONG / actor.person.expressiveness)
        image = still(actor, drawn.units, rng)
        found = tracker.find(image)
        if found:
            said[family][SEEN[int(name_expressions(judge, image, found[0][0]).argmax())]] += 1
        say("expressions", (n + 1) / stills)
    right = {name: row[name] / max(1, sum(row.values())) for name, row in said.items()}
    every = sum(sum(row.values()) for row in said.values())
    return {
        "faces": every,
        "named": round(sum(row[name] for name, row in said.items()) / max(1, every), 3),
        "by_family": {k: round(v, 3) for k, v in right.items()},
        "said": said,
    }


def identities(judge: Any, tracker: Any, people: int, say: Say, *, seed: int = 8 << 40) -> dict[str, Any]:
    """Mean cosine between pictures of one person and between pictures of different people."""
    from emollm.encoders.judges import describe_identity
    from emollm.synth.expressions import draw_expression
    from emollm.synth.render import Actor

    described: list[list[Floats]] = []
    for n in range(people):
        actor = Actor.by_seed(seed + n)
        mine = []
        for k in range(3):
            rng = np.random.default_rng([seed, n, k])
            drawn = draw_expression(("neutral", "happy", "surprise")[k], actor.person, rng, 0.5)
            image = still(actor, drawn.units, rng)
            found = tracker.find(image)
            if found:
                mine.append(describe_identity(judge, image, found[0][0]))
        described.append(mine)
        say("identities", (n + 1) / people)
    same = [float(a @ b) for mine in described for i, a in enumerate(mine) for b in mine[i + 1 :]]
    other = [float(a @ b) for i, mine in enumerate(described) for theirs in described[i + 1 :] for a in mine[:1] for b in theirs[:1]]
    return {"people": people, "same_person": round(float(np.mean(same)), 3), "different_people": round(float(np.mean(other)), 3)}


def still(actor: Any, units: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture of one person under one of our lights before one of our backgrounds, by a good camera; the head turned a little."""
    from emollm.synth import scene
    from emollm.synth.render import Camera, Pose, render

    yaw, pitch, roll = rng.normal(0, (9, 5, 3))
    light, background = scene.draw_light(rng), scene.draw_background(rng, FRAME_PX, FRAME_PX)
    picture = render([(actor, Pose(units, yaw, pitch, roll, (0, 0, 3.0)))], Camera(FRAME_PX, FRAME_PX), light, background)
    return np.asarray(picture.image * 255 + 0.5, np.uint8)


def _frames(out: Path, tracker: Any, count: int, say: Say) -> dict[str, Any]:
    """The detector on frames of clips: people found, where the truth's landmarks lie against its own, and jaw against lips."""
    from emollm.media.decode import Limits, decode_clip
    from emollm.synth.dataset import read_truth
    from emollm.synth.landmarks import USUAL

    clips = sorted((out / "truth").glob("*.json.gz"))
    rng = np.random.default_rng(0)
    each = math.ceil(count / len(clips))
    there = found = 0
    gaps, jaws, lips = [], [], []
    for number, path in enumerate(clips):
        truth = read_truth(path)
        fps = truth["fps"]
        frames = decode_clip(out / "clips" / f"{truth['name']}.mp4", Limits(fps=fps, frames=10_000)).frames
        for t in sorted(rng.choice(len(frames), min(each, len(frames), count - there), replace=False).tolist()):
            faces = [np.asarray(f[0])[: max(USUAL) + 1, :2] for f in tracker.find(frames[t])]
            for person in truth["people"]:
                if not _in_picture(person["boxes"][t], truth["size"]):
                    continue
                there += 1
                mine = _nearest(faces, person["eyes"][t])
                if mine is None:
                    continue
                found += 1
                covered = person["covered_s"]
                if covered and covered[0] <= t / fps < covered[1]:
                    continue
                eyes = float(np.linalg.norm(np.subtract(*person["eyes"][t])))
                true = np.asarray(person["landmarks"][t])
                apart = float(np.linalg.norm(mine[list(USUAL)] - true, axis=1)[_INNER].mean())
                gaps.append((apart / eyes, apart / float(np.linalg.norm(true[_CORNERS[0]] - true[_CORNERS[1]]))))
                jaws.append(person["units"][t][truth["unit_names"].index("jawOpen")])
                lips.append(float(np.linalg.norm(mine[13] - mine[14])) / eyes)
        say("frames", (number + 1) / len(clips))
        if there >= count:
            break
    return {
        "detector": {"people": there, "found": found, "share": round(found / max(1, there), 4)},
        "landmarks": {
            "faces": len(gaps),
            "median_of_pupil_distance": round(float(np.median([a for a, _ in gaps])), 4),
            "median_of_outer_corner_distance": round(float(np.median([b for _, b in gaps])), 4),
        },
        "jaw": {"frames": len(jaws), "correlation_with_lips": round(float(np.corrcoef(jaws, lips)[0, 1]), 3)},
    }


def _in_picture(box: list[float], size: int) -> bool:
    """At least most of the face is inside the frame."""
    left, top, right, bottom = box
    wide, tall = min(right, size) - max(left, 0), min(bottom, size) - max(top, 0)
    return wide > 0 and tall > 0 and wide * tall > 0.6 * (right - left) * (bottom - top)


def _nearest(faces: list[Floats], eyes: list[list[float]]) -> Floats | None:
    """The found face whose middle is within an eye distance and a half of a person's eyes."""
    middle = np.mean(eyes, 0)
    reach = 1.5 * float(np.linalg.norm(np.subtract(eyes[0], eyes[1])))
    near = [(float(np.linalg.norm(f.mean(0) - middle)), i) for i, f in enumerate(faces)]
    best = min(near, default=(math.inf, -1))
    return faces[best[1]] if best[0] < reach else None


def report(found: Mapping[str, Any]) -> str:
    """The audit in lines for a terminal."""
    lines = [
        f"detector        {found['detector']['found']} of {found['detector']['people']} people found",
        f"landmarks       {found['landmarks']['median_of_pupil_distance']} of the distance of the pupils from the detector's, "
        f"{found['landmarks']['median_of_outer_corner_distance']} of that of the outer eye corners",
        f"jawOpen         r {found['jaw']['correlation_with_lips']} with the gap of the lips",
        f"expressions     {found['expressions']['named']:.0%} named: "
        + ", ".join(f"{k} {v:.0%}" for k, v in found["expressions"]["by_family"].items()),
        f"identity        cosine {found['identity']['same_person']} same person, {found['identity']['different_people']} different people",
    ]
    return "\n".join(lines)
