"""Our face encoder, trained on labelled photographs and, beside them, on synthetic faces whose every facial unit is known.

Photographs teach what people see in a face; renders teach facial units, what is hidden, and that a movement is the same on another person.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emollm import weights
from emollm.data.corpus import Corpus, Item
from emollm.data.tasks import FER_VOTES
from emollm.encoders.face import CROP_PX, EXPRESSIONS, FaceEncoder
from emollm.errors import DataError, MediaError
from emollm.media.align import crop_face
from emollm.media.decode import decode_clip
from emollm.media.pose import frontal
from emollm.media.tracks import FaceTracker
from emollm.synth.faces import Stills, render_stills
from emollm.training.steps import Say, optimizer_for, step_once
from emollm.units import mirrored_units
from emollm.values import Floats

FACES = {"ferplus": 1.0, "mux": 0.5, "london": 1.0}  # corpus -> weight of its labels; mux has one annotator
STUDIO = ("london",)  # sharp portraits with slight smiles, few but unlike web pictures
STUDIO_SHARE = 0.1  # of the draws while the face encoder settles
SETTLE = 0.32  # length of that last phase, as a share of the first
ROOM_PX = 8  # border around the crop for random shifts
RENDER_SHARE = 0.5  # renders beside real faces in a batch
# Weights of the losses beside the expressions' own
LABEL_RENDERS, UNITS, CONDITION, SAME = 0.1, 15.0, 0.3, 0.3
MIXED_SHARE, MIXED = 0.4, 0.3  # of the steps on photographs: mixtures of two, by a beta distribution of this shape


@dataclass(frozen=True, slots=True)
class FaceSet:
    """Aligned faces with what people saw in them."""

    crops: NDArray[np.uint8]  # [n, 72, 72] grey
    points: Floats  # [n, 468, 3] looking ahead
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
            points.append(frontal(landmarks[None])[0].astype(np.float16))
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


def prepare_renders(count: int, out: Path, say: Say, seed: int) -> Stills:
    """Render and align synthetic faces once; kept in renders.npz."""
    kept = out / "renders.npz"
    names = Stills.__dataclass_fields__
    if kept.is_file():
        with np.load(kept) as file:
            if int(file["asked"]) == count:
                return Stills(**{name: file[name].astype(np.float32) if name == "points" else file[name] for name in names})
    stills = render_stills(count, CROP_PX + ROOM_PX, seed=seed, say=lambda share: say("rendering faces", share, f"of {count}"))
    rows = {name: getattr(stills, name) for name in names}
    np.savez(kept, asked=count, **rows | {"points": stills.points.astype(np.float16)})
    return stills


def train_face(
    faces: FaceSet, *, epochs: int, seed: int, say: Say, batch: int = 128, renders: Stills | None = None, threads: int | None = None
) -> FaceEncoder:
    """Train on soft targets; rare expressions are drawn more often, every face is shifted, dimmed, blurred or covered at random.

    A shorter second phase at a lower rate draws studio portraits more often: their slight smiles are too few to count in the first.

    Args:
        faces: Real ones.
        epochs: Of the first phase, over the real faces.
        seed: Of everything random.
        say: Progress.
        batch: Real faces a step.
        renders: Synthetic ones, `RENDER_SHARE` more a step in pairs of two people who do the same. Without them the heads for facial
            units learn nothing.
        threads: For torch; as it is if None.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    rng = np.random.default_rng(seed)
    labels = faces.targets.argmax(1)
    share = np.bincount(labels, minlength=len(EXPRESSIONS)) / len(labels)
    chance = faces.weights / np.sqrt(np.maximum(share[labels], 1e-6))
    chance /= chance.sum()
    settling = chance.copy()
    if faces.studio.any() and not faces.studio.all():
        settling[faces.studio] = STUDIO_SHARE / faces.studio.sum()
        settling[~faces.studio] *= (1 - STUDIO_SHARE) / settling[~faces.studio].sum()
    mirror = mirror_index(faces.points[:2000].mean(0))
    encoder = FaceEncoder().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder.mirror = torch.from_numpy(mirror.astype(np.int64))
    encoder.average = torch.from_numpy(faces.points[:2000, :, :2].mean(0).astype(np.float32))
    first = epochs * max(1, int(len(labels) * 0.8) // batch)
    phases = [(first, 2e-3, chance), (max(1, round(SETTLE * first)), 6e-4, settling)]
    whole, done = sum(steps for steps, _, _ in phases), 0
    for steps, rate, drawn in phases:
        optimizer, schedule, average = optimizer_for(encoder, rate, steps)
        encoder.train()
        for step in range(steps):
            picks = rng.choice(len(labels), batch, p=drawn)
            views = [disturb(faces.crops[i], faces.points[i], mirror, rng) for i in picks]
            pairs = np.zeros(0, np.int64)
            if renders is not None:
                pairs = np.repeat(2 * rng.choice(len(renders.crops) // 2, round(RENDER_SHARE * batch / 2)), 2)
                pairs[1::2] += 1
                views += _in_pairs(renders, pairs, mirror, rng)
            crops, points = np.stack([v.crop for v in views]), np.stack([v.points for v in views])
            targets, plain = faces.targets[picks], rng.random() >= MIXED_SHARE
            if not plain:  # two photographs in one: the encoder must not be surer than the crowd
                other, mine = rng.permutation(batch), float(rng.beta(MIXED, MIXED))
                for part in (crops, points, targets):
                    part[:batch] = mine * part[:batch] + (1 - mine) * part[:batch][other]
            with torch.autocast("cpu", torch.bfloat16):  # 1.7 times as fast on processors that know it
                tokens = encoder(torch.from_numpy(crops), torch.from_numpy(points))
            tokens = tokens.float()
            loss = _real_loss(encoder, tokens[:batch], torch.from_numpy(targets), faces.weights[picks], views[:batch] if plain else None)
            if renders is not None:
                loss = loss + _render_loss(encoder, tokens[batch:], renders, pairs, views[batch:])
            step_once(loss, encoder, optimizer, schedule, average, step)
            done += 1
            if done % 20 == 1:
                say("face encoder", done / whole, f"loss {loss.item():.3f}")
        encoder.load_state_dict(average)
    return encoder.eval()


def _in_pairs(renders: Stills, pairs: NDArray[np.int64], mirror: NDArray[np.intp], rng: np.random.Generator) -> list[View]:
    """Both of a pair are mirrored, or neither is; all else differs."""
    views: list[View] = []
    for k, i in enumerate(pairs):
        flip = views[-1].mirrored if k % 2 else bool(rng.random() < 0.5)
        views.append(disturb(renders.crops[i], renders.points[i], mirror, rng, flip=flip))
    return views


def _real_loss(encoder: FaceEncoder, tokens: Tensor, targets: Tensor, trust: Floats, views: list[View] | None) -> Tensor:
    losses = -(targets * encoder.expressions(tokens).log_softmax(1)).sum(1)
    loss = (losses * torch.from_numpy(trust)).mean()
    if views is None:
        return loss
    # How strong a real expression is nobody said; the share of people who did not see a neutral face comes near.
    condition = torch.stack([1 - targets[:, 0], _seen(views, "hidden"), _seen(views, "sharp")], 1)
    return loss + CONDITION * nn.functional.binary_cross_entropy_with_logits(encoder.condition(tokens), condition)


def _render_loss(encoder: FaceEncoder, tokens: Tensor, renders: Stills, pairs: NDArray[np.int64], views: list[View]) -> Tensor:
    units = renders.units[pairs]
    flipped = np.array([v.mirrored for v in views])
    units = np.where(flipped[:, None], units[:, mirrored_units()], units)
    loss = UNITS * nn.functional.binary_cross_entropy_with_logits(encoder.units(tokens), torch.from_numpy(units))
    loss = loss - LABEL_RENDERS * (torch.from_numpy(renders.targets[pairs]) * encoder.expressions(tokens).log_softmax(1)).sum(1).mean()
    intensity = torch.from_numpy(renders.intensity[pairs]).float()
    hidden = torch.maximum(torch.from_numpy(renders.hidden[pairs]).float(), _seen(views, "hidden"))
    seen = encoder.condition(tokens)[:, :2]  # how sharp a render was before it was disturbed differs from one to another
    loss = loss + CONDITION * nn.functional.binary_cross_entropy_with_logits(seen, torch.stack([intensity, hidden], 1))
    return loss + SAME * nn.functional.mse_loss(tokens[0::2], tokens[1::2])


def _seen(views: list[View], name: str) -> Tensor:
    return torch.tensor([getattr(v, name) for v in views])


def mirror_index(mean: Floats) -> NDArray[np.intp]:
    """[468] which landmark each becomes when the face is mirrored, found on the mean face."""
    flipped = mean * np.array([-1, 1, 1])
    gaps = np.square(flipped[None] - mean[:, None])
    return (gaps[..., :2].sum(-1) + 0.3 * gaps[..., 2]).argmin(1)


@dataclass(frozen=True, slots=True)
class View:
    """One training view of a face, and what was done to it."""

    crop: Floats  # [64, 64]
    points: Floats  # [468, 3]
    hidden: float  # share of the crop's middle that was covered
    sharp: float  # 1 as it was, 0 hardly anything left
    mirrored: bool


def disturb(
    crop: NDArray[np.uint8], points: Floats, mirror: NDArray[np.intp], rng: np.random.Generator, *, flip: bool | None = None
) -> View:
    """Shift, turn, blur, shrink, dim, cover and mirror a face at random; `flip` decides the mirroring."""
    side = len(crop)
    turn: Floats = cv2.getRotationMatrix2D((side / 2, side / 2), rng.normal(0, 6), float(np.exp(rng.normal(0, 0.07))))
    turn[:, 2] += rng.normal(0, 2, 2) - ROOM_PX / 2
    image: Floats = cv2.warpAffine(crop, turn, (CROP_PX, CROP_PX), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    chance, sharp, hidden = rng.random(), 1.0, 0.0
    if chance < 0.15:
        width = int(rng.choice([3, 5]))
        image = cv2.GaussianBlur(image, (width, width), 0)
        sharp = {3: 0.8, 5: 0.6}[width]
    elif chance < 0.3:  # as if the face had been small
        small = int(rng.integers(16, 44))
        image = cv2.resize(cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), (CROP_PX, CROP_PX))
        sharp = small / CROP_PX
    if rng.random() < 0.3:
        image = 255 * np.clip(image / 255, 0, 1) ** np.exp(rng.normal(0, 0.4))
    if rng.random() < 0.3:
        noise = rng.uniform(2, 16)
        image = image + rng.normal(0, noise, image.shape)
        sharp *= 1 - 0.4 * noise / 16
    if rng.random() < 0.35:  # a hand, a cup, a microphone
        height, width = rng.integers(8, 28, 2)
        top, left = rng.integers(0, CROP_PX - height), rng.integers(0, CROP_PX - width)
        image[top : top + height, left : left + width] = rng.uniform(0, 255)
        cover = np.zeros((CROP_PX, CROP_PX), bool)
        cover[top : top + height, left : left + width] = True
        hidden = float(cover[8:58, 10:54].mean())
    angle = np.deg2rad(rng.normal(0, 3))
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = points + rng.normal(0, 0.008, points.shape)
    moved[:, :2] = moved[:, :2] @ spin.T * np.exp(rng.normal(0, 0.03)) + rng.normal(0, 0.02, 2)
    mirrored = bool(rng.random() < 0.5) if flip is None else flip
    if mirrored:
        image, moved = image[:, ::-1], moved[mirror] * np.array([-1, 1, 1])
    return View(np.ascontiguousarray(image, np.float32), moved.astype(np.float32), hidden, sharp, mirrored)
