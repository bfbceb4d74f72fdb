"""Our unit encoder, trained on synthetic faces whose every facial unit is known, with photographs beside them.

Photographs say nothing about units. They are there so that real skin and cameras are not strange to the encoder, and its features serve
what people see in real faces too.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emollm.encoders.gaze import SPREAD, sideways
from emollm.encoders.units import CROP_PX, WIDTH, UnitEncoder
from emollm.media.pose import frontal
from emollm.synth.faces import Stills, render_stills
from emollm.training.face_encoder import FaceSet
from emollm.training.steps import Say, optimizer_for, step_once
from emollm.training.views import View, disturb, mirror_index
from emollm.units import mirrored_units

ROOM_PX = 16  # border around the crop for random shifts
PHOTOGRAPHS = 0.5  # for every render of a batch
LEAST_SPREAD = 0.003  # variance below which a unit is too rare to be weighed up fully
# Weights of the losses beside the units' own
SEEN, CONDITION, SAME, GAZE = 0.3, 0.3, 0.2, 0.5


def prepare_renders(count: int, out: Path, say: Say, seed: int) -> Stills:
    """Render and align synthetic faces once; kept in renders.npz."""
    kept = out / "renders.npz"
    names = Stills.__dataclass_fields__
    if kept.is_file():
        with np.load(kept) as file:
            if int(file["asked"]) == count:
                return Stills(**{name: file[name].astype(np.float32) if name == "points" else file[name] for name in names})
    stills = render_stills(count, CROP_PX + ROOM_PX, CROP_PX, seed=seed, say=lambda share: say("rendering faces", share, f"of {count}"))
    rows = {name: getattr(stills, name) for name in names}
    np.savez(kept, asked=count, **rows | {"points": stills.points.astype(np.float16)})
    return stills


def train_units(
    renders: Stills, faces: FaceSet, *, steps: int, seed: int, say: Say, batch: int = 96, threads: int | None = None
) -> UnitEncoder:
    """Train on the squared error of each unit against its own variance, so that rare units count as much as frequent ones.

    Args:
        renders: With every unit known, in pairs of two people who do the same.
        faces: Photographs with what people saw in them.
        steps: Of the optimiser.
        seed: Of everything random.
        say: Progress.
        batch: Renders a step; half as many photographs come beside them.
        threads: For torch; as it is if None.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    rng = np.random.default_rng(seed)
    mirror = mirror_index(renders.points[:2000].mean(0))
    encoder = UnitEncoder().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder.average = torch.from_numpy(renders.points[:2000, :, :2].mean(0).astype(np.float32))
    spread = torch.from_numpy(renders.units.var(0)).float().clamp_min(LEAST_SPREAD)
    photographs = _enlarged(faces)
    ahead = frontal(faces.points).astype(np.float32)
    optimizer, schedule, average = optimizer_for(encoder, 2e-3, steps)
    encoder.train()
    for step in range(steps):
        pairs = np.repeat(2 * rng.choice(len(renders.crops) // 2, batch // 2), 2)
        pairs[1::2] += 1
        views: list[View] = []
        for k, i in enumerate(pairs):  # both of a pair are mirrored, or neither is; all else differs
            flip = views[-1].mirrored if k % 2 else bool(rng.random() < 0.5)
            views.append(disturb(renders.crops[i], renders.points[i], mirror, rng, CROP_PX, flip=flip))
        picks = rng.choice(len(photographs), round(PHOTOGRAPHS * batch))
        views += [disturb(photographs[i], ahead[i], mirror, rng, CROP_PX) for i in picks]
        with torch.autocast("cpu", torch.bfloat16):
            tokens = encoder(torch.from_numpy(np.stack([v.crop for v in views])), torch.from_numpy(np.stack([v.points for v in views])))
        tokens = tokens.float()
        loss = _render_loss(encoder, tokens[:batch], renders, pairs, views[:batch], spread)
        shown = encoder.seen(nn.functional.silu(tokens[batch:, :WIDTH])).log_softmax(1)
        loss = loss - SEEN * (torch.from_numpy(faces.targets[picks]) * shown).sum(1).mean()
        step_once(loss, encoder, optimizer, schedule, average, step)
        if step % 20 == 0:
            say("unit encoder", step / steps, f"loss {loss.item():.3f}")
    encoder.load_state_dict(average)
    return encoder.eval()


def _enlarged(faces: FaceSet) -> NDArray[np.uint8]:
    """Photographs were cut for the face encoder; here the same square is larger."""
    side = CROP_PX + ROOM_PX
    return np.stack([cv2.resize(crop, (side, side), interpolation=cv2.INTER_LINEAR) for crop in faces.crops]).astype(np.uint8)


def _render_loss(
    encoder: UnitEncoder, tokens: Tensor, renders: Stills, pairs: NDArray[np.int64], views: list[View], spread: Tensor
) -> Tensor:
    units = renders.units[pairs]
    flipped = np.array([v.mirrored for v in views])
    units = np.where(flipped[:, None], units[:, mirrored_units()], units)
    wanted = torch.from_numpy(units).float()
    loss = ((encoder.units(tokens) - wanted) ** 2 / spread).mean()
    loss = loss + GAZE * ((tokens[:, WIDTH] - sideways(wanted)) ** 2).mean() / SPREAD**2
    sharp = torch.tensor([v.sharp for v in views])
    hidden = torch.maximum(torch.from_numpy(renders.hidden[pairs]).float(), torch.tensor([v.hidden for v in views]))
    condition = torch.stack([torch.from_numpy(renders.intensity[pairs]).float(), hidden, sharp], 1)
    loss = loss + CONDITION * nn.functional.binary_cross_entropy(encoder.condition(tokens), condition)
    return loss + SAME * nn.functional.mse_loss(tokens[0::2, :WIDTH], tokens[1::2, :WIDTH])
