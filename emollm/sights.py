"""From what was watched and heard of a clip to what backbones may see of it, and from what they gave to what a system's streams take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from emollm.encoders.base import FACE_PX, Backbone, Look
from emollm.media.align import crop_face, normalise_landmarks
from emollm.recipe import Recipe, Stream
from emollm.values import FaceTrack, Features, Floats
from emollm.watch import Glimpse

SIGHTS = 16  # pictures of a clip that backbones see
SIGHT_PX = 512  # width they are kept at


def look_at(pictures: Sequence[Glimpse], main: FaceTrack | None, audio: Floats | None, spans_s: Sequence[tuple[float, float]]) -> Look:
    """Pictures spread evenly over a clip, with the main person's face cut out of each."""
    picks = np.linspace(0, len(pictures) - 1, min(SIGHTS, len(pictures))).round().astype(int).tolist()
    chosen = [pictures[i] for i in picks]
    where = {int(frame): k for k, frame in enumerate(main.index)} if main is not None else {}
    crops = np.zeros((len(chosen), FACE_PX, FACE_PX, 3), np.uint8)
    landmarks = np.full((len(chosen), 468, 3), np.nan, np.float32)
    points = np.zeros((len(chosen), 468, 3), np.float32)
    seen = np.zeros(len(chosen), bool)
    for n, picture in enumerate(chosen):
        if main is not None and picture.frame in where:
            landmarks[n] = main.landmarks[where[picture.frame]] * picture.factor
            crops[n] = crop_face(picture.image, landmarks[n], FACE_PX)
            points[n] = normalise_landmarks(landmarks[n])
            seen[n] = True
    return Look(
        frames=np.stack([p.image for p in chosen]) if chosen else np.zeros((0, 1, 1, 3), np.uint8),
        times_s=np.array([p.time_s for p in chosen]),
        crops=crops,
        landmarks=landmarks,
        points=points,
        seen=seen,
        audio=audio,
        spans_s=tuple(spans_s),
    )


@torch.inference_mode()
def sense(backbones: Mapping[str, Backbone], look: Look) -> dict[str, Features]:
    """What every backbone gives, under the name `backbone.output`."""
    found = {}
    given = {id(backbone): backbone(look) for backbone in {id(b): b for b in backbones.values()}.values()}
    for name, backbone in backbones.items():
        for output, (tokens, times_s) in given[id(backbone)].items():
            found[f"{name}.{output}"] = Features(tokens[None].float(), torch.ones(1, len(tokens), dtype=torch.bool), marks_s=times_s)
    return found


def chosen(recipe: Recipe, features: Mapping[str, Features]) -> dict[str, Features]:
    """The features of each stream of a system, by the stream's name; streams the clip has nothing for are left out."""
    return {s.name: thinned(s, features[s.feature]) for s in recipe.streams if not s.fuse and s.feature in features}


def thinned(stream: Stream, features: Features) -> Features:
    """At most as many moments as the stream takes, spread evenly; rows of one moment stay together."""
    moments = sorted(set(features.marks_s))
    if not stream.frames or len(moments) <= stream.frames:
        return features
    middle = stream.frames == 1
    picks = [len(moments) // 2] if middle else np.linspace(0, len(moments) - 1, stream.frames).round().astype(int).tolist()
    wanted = {moments[i] for i in picks}
    rows = [i for i, mark in enumerate(features.marks_s) if mark in wanted]
    return replace(features, tokens=features.tokens[:, rows], mask=features.mask[:, rows], marks_s=tuple(features.marks_s[i] for i in rows))
