"""Our face encoder, trained on labelled photographs: what people see in a face.

Renders stay out of it: in three trials they taught it nothing about photographs (docs/log.md). They train the unit encoder beside it.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from emollm import weights
from emollm.data.corpus import Corpus, Item
from emollm.data.tasks import FER_VOTES
from emollm.encoders.face import CROP_PX, EXPRESSIONS, FaceEncoder
from emollm.errors import DataError, MediaError
from emollm.media.align import crop_face, normalise_landmarks
from emollm.media.decode import decode_clip
from emollm.media.tracks import FaceTracker
from emollm.training.steps import Say, optimizer_for, step_once
from emollm.training.views import disturb, mirror_index
from emollm.values import Floats

FACES = {"ferplus": 1.0, "mux": 0.5, "london": 1.0}  # corpus -> weight of its labels; mux has one annotator
STUDIO = ("london",)  # sharp portraits with slight smiles, few but unlike web pictures
STUDIO_SHARE = 0.1  # of the draws while the face encoder settles
SETTLE = 0.32  # length of that last phase, as a share of the first
ROOM_PX = 8  # border around the crop for random shifts


@dataclass(frozen=True, slots=True)
class FaceSet:
    """Aligned faces with what people saw in them."""

    crops: NDArray[np.uint8]  # [n, 72, 72] grey
    points: Floats  # [n, 468, 3]
    targets: Floats  # [n, 8] sums to 1
    weights: Floats  # [n]
    studio: NDArray[np.bool_]  # [n] drawn more often in the last phase


def prepare_faces(corpus: Corpus, out: Path, say: Say) -> FaceSet:
    """Find and align every labelled training face once; kept in faces.npz."""
    kept = out / "faces.npz"
    if kept.is_file():
        with np.load(kept) as file:
            return FaceSet(file["crops"], file["points"].astype(np.float32), file["targets"], file["weights"], file["studio"])
    items = [i for i in corpus.items(split="train") if i.modality == "face" and i.label in EXPRESSIONS]
    if not items:
        raise DataError(f"no labelled faces with split train in {corpus.folder}.")
    tracker = FaceTracker(weights.locate("mediapipe-face"))
    crops, points, targets, trust, studio = [], [], [], [], []
    size = CROP_PX + ROOM_PX
    with tempfile.TemporaryDirectory() as private:
        path = Path(private) / "face"
        for number, item in enumerate(items):
            if number % 200 == 0:
                say("finding faces", number / len(items), f"{number} of {len(items)}")
            path.write_bytes(corpus.read(item))
            try:
                image = decode_clip(path).frames[0]
            except (MediaError, IndexError):
                continue
            found = tracker.find(image)
            if not found:
                continue
            landmarks = found[0][0]
            crops.append(cv2.cvtColor(crop_face(image, landmarks, size, widen=size / CROP_PX), cv2.COLOR_RGB2GRAY))
            points.append(normalise_landmarks(landmarks).astype(np.float16))
            targets.append(face_target(item))
            trust.append(FACES.get(item.corpus, 1.0))
            studio.append(item.corpus in STUDIO)
    if not crops:
        raise DataError(f"no face was found in the {len(items)} labelled pictures of {corpus.folder}.")
    whole = FaceSet(
        crops=np.stack(crops).astype(np.uint8),
        points=np.stack(points).astype(np.float32),
        targets=np.stack(targets),
        weights=np.array(trust, np.float32),
        studio=np.array(studio),
    )
    np.savez(kept, crops=whole.crops, points=np.stack(points), targets=whole.targets, weights=whole.weights, studio=whole.studio)
    return whole


def face_target(item: Item) -> Floats:
    """[8] soft target: the crowd's votes without lone ones, a tenth on the majority label; a plain label gets 0.86."""
    target = np.zeros(len(EXPRESSIONS), np.float32)
    label = EXPRESSIONS.index(item.label or "neutral")
    votes = item.extra.get("votes")
    if votes:
        for name, count in zip(FER_VOTES, votes, strict=True):
            target[EXPRESSIONS.index(name)] += count if count > 1 or max(votes) <= 1 else 0
        target = 0.9 * target / target.sum()
        target[label] += 0.1
    else:
        target += 0.02
        target[label] += 0.84
    return target


def train_face(faces: FaceSet, *, epochs: int, seed: int, say: Say, batch: int = 128, threads: int | None = None) -> FaceEncoder:
    """Train on soft targets; rare expressions are drawn more often, every face is shifted, dimmed, blurred or covered at random.

    A shorter second phase at a lower rate draws studio portraits more often: their slight smiles are too few to count in the first.

    Args:
        faces: Real ones.
        epochs: Of the first phase.
        seed: Of everything random.
        say: Progress.
        batch: Faces a step.
        threads: For torch; as it is if None.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    rng = np.random.default_rng(seed)
    chance, settling = _chances(faces)
    mirror = mirror_index(faces.points[:2000].mean(0))
    encoder = FaceEncoder().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder.mirror = torch.from_numpy(mirror.astype(np.int64))
    first = epochs * max(1, int(len(faces.crops) * 0.8) // batch)
    phases = [(first, 2e-3, chance), (max(1, round(SETTLE * first)), 6e-4, settling)]
    whole, done = sum(steps for steps, _, _ in phases), 0
    for steps, rate, drawn in phases:
        optimizer, schedule, average = optimizer_for(encoder, rate, steps)
        encoder.train()
        for step in range(steps):
            picks = rng.choice(len(faces.crops), batch, p=drawn)
            views = [disturb(faces.crops[i], faces.points[i], mirror, rng, CROP_PX) for i in picks]
            with torch.autocast("cpu", torch.bfloat16):  # 1.7 times as fast on processors that know it
                tokens = encoder(torch.from_numpy(np.stack([v.crop for v in views])), torch.from_numpy(np.stack([v.points for v in views])))
            losses = -(torch.from_numpy(faces.targets[picks]) * encoder.expressions(tokens.float()).log_softmax(1)).sum(1)
            loss = (losses * torch.from_numpy(faces.weights[picks])).mean()
            step_once(loss, encoder, optimizer, schedule, average, step)
            done += 1
            if done % 20 == 1:
                say("face encoder", done / whole, f"loss {loss.item():.3f}")
        encoder.load_state_dict(average)
    return encoder.eval()


def _chances(faces: FaceSet) -> tuple[Floats, Floats]:
    """How often each face is drawn in the first phase, and while the encoder settles."""
    labels = faces.targets.argmax(1)
    share = np.bincount(labels, minlength=len(EXPRESSIONS)) / len(labels)
    chance = faces.weights / np.sqrt(np.maximum(share[labels], 1e-6))
    chance /= chance.sum()
    settling = chance.copy()
    if faces.studio.any() and not faces.studio.all():
        settling[faces.studio] = STUDIO_SHARE / faces.studio.sum()
        settling[~faces.studio] *= (1 - STUDIO_SHARE) / settling[~faces.studio].sum()
    return chance, settling
