"""The temporal part of the unit encoder, trained on synthetic tracks whose units are known at every frame; the rest stays as it is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emollm import weights
from emollm.encoders.units import CROP_PX, WIDTH, UnitEncoder
from emollm.media.align import crop_face
from emollm.media.pose import frontal
from emollm.media.tracks import FaceTracker
from emollm.training.steps import Say, optimizer_for, step_once
from emollm.values import Floats

FRAMES = 32  # of a window
LEAST_SPREAD = 0.003
FPS = 8.0


@dataclass(frozen=True, slots=True)
class Tracks:
    """Frames of many tracks, one after another."""

    tokens: Tensor  # [n, 160] of the unit encoder
    times_s: Floats  # [n]
    units: Floats  # [n, 52]
    track: NDArray[np.int64]  # [n] which track a frame belongs to; equal numbers stand together


def prepare_tracks(encoder: UnitEncoder, count: int, say: Say, seed: int) -> Tracks:
    """Film `count` synthetic clips and read every frame as `emollm analyze` would, but for the codec.

    Args:
        encoder: Makes the tokens.
        count: Clips of four seconds.
        say: Progress.
        seed: Of the clips.
    """
    from emollm.synth.clip import Settings, film, write_script

    settings = Settings(seed=seed, fps=FPS, voices="none")
    tracker = FaceTracker(weights.locate("mediapipe-face"))
    tokens, times, units, track = [], [], [], []
    for number in range(count):
        script = write_script(settings, number)
        following = tracker.follow()
        for t, (image, _) in enumerate(film(script)):
            for seen in following.see(t / FPS, image):
                crop = np.asarray(cv2.cvtColor(crop_face(image, seen.landmarks, CROP_PX), cv2.COLOR_RGB2GRAY), np.uint8)
                points = torch.from_numpy(frontal(seen.landmarks[None]).astype(np.float32))
                with torch.inference_mode():
                    tokens.append(encoder(torch.from_numpy(crop[None]), points)[0])
                times.append(t / FPS)
                units.append(script.roles[0].motion.units[t])
                track.append(number * 100 + seen.person)
        say("filming tracks", (number + 1) / count, f"{number + 1} of {count}")
    order = np.argsort(track, kind="stable")
    return Tracks(torch.stack(tokens)[order], np.array(times)[order], np.stack(units)[order], np.array(track)[order])


def train_track(encoder: UnitEncoder, tracks: Tracks, *, steps: int, seed: int, say: Say, batch: int = 32) -> UnitEncoder:
    """Train `encoder.track` in place.

    Windows are thinned to other frame rates at random, and single frames are spoiled, as a blur or a hand would.

    Args:
        encoder: With trained heads.
        tracks: Of synthetic clips.
        steps: Of the optimiser.
        seed: Of everything random.
        say: Progress.
        batch: Windows a step.
    """
    rng = np.random.default_rng(seed)
    starts = np.flatnonzero(np.r_[True, np.diff(tracks.track) != 0])
    spans = [(a, b) for a, b in zip(starts, [*starts[1:], len(tracks.track)], strict=True) if b - a >= 8]
    spread = torch.from_numpy(tracks.units.var(0)).float().clamp_min(LEAST_SPREAD)
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    part = encoder.track
    for parameter in part.parameters():
        parameter.requires_grad_(True)
    optimizer, schedule, average = optimizer_for(part, 2e-3, steps)
    part.train()
    for step in range(steps):
        every = int(rng.choice([1, 1, 2, 3]))
        windows = [_window(spans[k], every, FRAMES // every, rng) for k in rng.choice(len(spans), batch)]
        tokens = torch.stack([tracks.tokens[w] for w in windows]).float()[..., :WIDTH]
        tokens = _spoiled(tokens, rng)
        times = torch.from_numpy(np.stack([tracks.times_s[w] - tracks.times_s[w[0]] for w in windows])).float()
        times = times + float(rng.uniform(0, 8))
        wanted = torch.from_numpy(np.stack([tracks.units[w] for w in windows])).float()
        found = (encoder.unit(nn.functional.silu(tokens)) + part(tokens, times)).sigmoid()
        loss = ((found - wanted) ** 2 / spread).mean()
        step_once(loss, part, optimizer, schedule, average, step)
        if step % 20 == 0:
            say("tracks", step / steps, f"loss {loss.item():.3f}")
    part.load_state_dict(average)
    return encoder.eval()


def _window(span: tuple[int, int], every: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indexes of `count` frames of a track, every so many; the last frame of a short one stands still."""
    first, last = span
    begin = first + int(rng.integers(0, max(1, last - first - every * count + 1)))
    return np.minimum(begin + every * np.arange(count), last - 1)


def _spoiled(tokens: Tensor, rng: np.random.Generator) -> Tensor:
    """[B, T, D] with a little noise, and some frames that show nothing."""
    noisy = tokens + 0.1 * torch.randn_like(tokens)
    gone = torch.from_numpy(rng.random(tokens.shape[:2]) < 0.05)
    return torch.where(gone[..., None], torch.randn_like(tokens), noisy)
