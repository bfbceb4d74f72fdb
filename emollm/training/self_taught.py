"""A trained face encoder learns on from its own doubts: softer targets, mixed faces, and classes nearer to how often they are seen."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from emollm.encoders.face import CROP_PX, FaceEncoder
from emollm.training.face_encoder import ROOM_PX, STUDIO_SHARE, FaceSet
from emollm.training.steps import Say, optimizer_for, step_once
from emollm.training.views import disturb
from emollm.values import Floats

OWN = 0.4  # share of the encoder's own answer in a target
BALANCE = 0.3  # classes are drawn by frequency to the power of one less this
MIXED, MIX_SHAPE = 0.4, 0.4  # share of batches with two faces laid over each other, and how evenly
PRIOR = 0.1  # of the log frequency of classes, added to the last bias: part of what balancing took away
RATE = 1.2e-3


def learn_on(
    encoder: FaceEncoder, faces: FaceSet, *, epochs: int, seed: int, say: Say, batch: int = 128, threads: int | None = None
) -> FaceEncoder:
    """Train on, and return the mean of the weights before and after.

    The mean keeps what the few studio portraits taught; either end alone is worse at one of the two.

    Args:
        encoder: Trained; not changed.
        faces: What it was trained on.
        epochs: Passes; the rate falls to nothing in the last.
        seed: Of everything random.
        say: Progress.
        batch: Faces a step.
        threads: For torch; as it is if None.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    rng = np.random.default_rng(seed)
    labels = faces.targets.argmax(1)
    share = np.maximum(np.bincount(labels, minlength=faces.targets.shape[1]) / len(labels), 1e-4)
    targets = (1 - OWN) * faces.targets + OWN * _answers(encoder, faces)
    chance = _chances(faces, share[labels] ** -BALANCE)
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    learner = copy.deepcopy(encoder).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    steps = epochs * max(1, int(len(labels) * 0.8) // batch)
    optimizer, schedule, average = optimizer_for(learner, RATE, steps)
    mirror = learner.mirror.numpy()
    for step in range(steps):
        picks = rng.choice(len(labels), batch, p=chance)
        views = [disturb(faces.crops[i], faces.points[i], mirror, rng, CROP_PX) for i in picks]
        crops, points = torch.from_numpy(np.stack([v.crop for v in views])), torch.from_numpy(np.stack([v.points for v in views]))
        wanted = torch.from_numpy(targets[picks].astype(np.float32))
        if rng.random() < MIXED:
            part, other = float(rng.beta(MIX_SHAPE, MIX_SHAPE)), torch.from_numpy(rng.permutation(batch))
            crops, points, wanted = (part * x + (1 - part) * x[other] for x in (crops, points, wanted))
        with torch.autocast("cpu", torch.bfloat16):
            tokens = learner(crops, points)
        losses = -(wanted * learner.expressions(tokens.float()).log_softmax(1)).sum(1)
        loss = (losses * torch.from_numpy(faces.weights[picks])).mean()
        step_once(loss, learner, optimizer, schedule, average, step)
        if step % 20 == 0:
            say("face encoder, learning on", step / steps, f"loss {loss.item():.3f}")
    mean = {k: (v + average[k]) / 2 if v.is_floating_point() else v for k, v in before.items()}
    mean["expression.bias"] = mean["expression.bias"] + torch.from_numpy(PRIOR * np.log(share)).to(mean["expression.bias"])
    learner.load_state_dict(mean)
    return learner.eval()


@torch.inference_mode()
def _answers(encoder: FaceEncoder, faces: FaceSet) -> Floats:
    """[n, 8] what the encoder says of each face and its mirror image."""
    encoder.eval()
    edge = ROOM_PX // 2
    found: list[Tensor] = []
    for at in range(0, len(faces.crops), 256):
        crops = torch.from_numpy(faces.crops[at : at + 256, edge:-edge, edge:-edge].copy())
        found.append(encoder.expressions(encoder.both_ways(crops, torch.from_numpy(faces.points[at : at + 256]))).softmax(1))
    return torch.cat(found).numpy()


def _chances(faces: FaceSet, rarity: Floats) -> Floats:
    """How often each face is drawn."""
    chance = faces.weights * rarity
    chance = chance / chance.sum()
    if faces.studio.any() and not faces.studio.all():
        part = STUDIO_SHARE * 0.6  # there were more while it settled
        chance[faces.studio] = part / faces.studio.sum()
        chance[~faces.studio] *= (1 - part) / chance[~faces.studio].sum()
    return chance / chance.sum()
