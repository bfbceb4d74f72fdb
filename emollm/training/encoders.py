"""Our own face and voice encoders, trained from labelled faces and speech before anything else of a system.

They learn what the language model will be shown as tokens; the language model has no part in it.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
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
from emollm.encoders.face import CROP_PX, EXPRESSIONS, WIDTH, FaceEncoder
from emollm.encoders.prosody import measure, speech_spans
from emollm.encoders.speech import LAYERS_HZ, Whisper
from emollm.encoders.voice import EMOTIONS, VoiceEncoder
from emollm.errors import DataError, MediaError
from emollm.media.align import crop_face, normalise_landmarks
from emollm.media.decode import decode_clip
from emollm.media.tracks import FaceTracker
from emollm.synth.faces import Stills
from emollm.synth.units import UNITS
from emollm.values import AUDIO_HZ, Floats

Say = Callable[[str, float, str], None]
FACES = {"ferplus": 1.0, "mux": 0.5, "london": 1.0}  # corpus -> weight of its labels; mux has one annotator
STUDIO = ("london",)  # sharp portraits with slight smiles, few but unlike web pictures
STUDIO_SHARE = 0.1  # of the draws while the face encoder settles
SETTLE = 0.32  # length of that last phase, as a share of the first
VOICES = ("ravdess", "emotale", "emodb")
RENDER_SHARE = 0.25  # renders beside real faces in a batch
UNIT_WEIGHT = 1.0  # of the loss on facial units, known for renders only
ROOM_PX = 8  # border around the crop for random shifts
AVERAGE = 0.998  # of the running mean of weights that is kept in the end


@dataclass(frozen=True, slots=True)
class FaceSet:
    """Aligned faces with what people saw in them."""

    crops: NDArray[np.uint8]  # [n, 72, 72] grey
    points: Floats  # [n, 468, 3]
    targets: Floats  # [n, 8] sums to 1
    weights: Floats  # [n]
    studio: NDArray[np.bool_]  # [n] drawn more often in the last phase


def train_encoders(data: Path, out: Path, *, epochs: int = 12, voice_epochs: int = 9, seed: int = 0, say: Say | None = None) -> Path:
    """Train both encoders and write face.safetensors and voice.safetensors.

    Args:
        data: Folder with index.jsonl.
        out: Gets the two files; prepared faces and layers are kept there for the next run.
        epochs: Of the face encoder.
        voice_epochs: Of the voice encoder; more overfit the few speakers.
        seed: Of everything random.
        say: Progress.

    Returns:
        `out`.

    Raises:
        DataError: No labelled faces or no labelled speech.
    """
    from safetensors.torch import save_file

    tell = say or (lambda what, share, detail: None)
    corpus = Corpus(data)
    out.mkdir(parents=True, exist_ok=True)
    random.seed(seed)
    torch.manual_seed(seed)
    trained: dict[str, nn.Module] = {
        "face": train_face(prepare_faces(corpus, out, tell), epochs=epochs, seed=seed, say=tell),
        "voice": train_voice(*prepare_voices(corpus, tell, seed), epochs=voice_epochs, seed=seed, say=tell),
    }
    for name, encoder in trained.items():
        state = {k: v.half() if v.is_floating_point() else v for k, v in encoder.state_dict().items()}
        save_file({k: v.contiguous() for k, v in state.items()}, out / f"{name}.safetensors")
    return out


# -- faces


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


def train_face(
    faces: FaceSet, *, epochs: int, seed: int, say: Say, batch: int = 128, renders: Stills | None = None, label_renders: bool = True
) -> FaceEncoder:
    """Train on soft targets; rare expressions are drawn more often, every face is shifted, dimmed, blurred or covered at random.

    A shorter second phase at a lower rate draws studio portraits more often: their slight smiles are too few to count in the first.

    Args:
        faces: Real ones.
        epochs: Of the first phase, over the real faces.
        seed: Of everything random.
        say: Progress.
        batch: Real faces a step.
        renders: Synthetic ones, `RENDER_SHARE` more a step: an auxiliary head learns their 52 facial units.
        label_renders: Also learn their expressions.
    """
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
    unit_head = nn.Linear(WIDTH, len(UNITS))
    encoder_and_head = nn.ModuleList([encoder, unit_head])
    first = epochs * max(1, int(len(labels) * 0.8) // batch)
    phases = [(first, 2e-3, chance), (max(1, round(SETTLE * first)), 6e-4, settling)]
    whole, done = sum(steps for steps, _, _ in phases), 0
    for steps, rate, drawn in phases:
        optimizer, schedule, average = _optimizer(encoder_and_head, rate, steps)
        encoder.train()
        for step in range(steps):
            picks = rng.choice(len(labels), batch, p=drawn)
            views = [disturb(faces.crops[i], faces.points[i], mirror, rng) for i in picks]
            extra = np.zeros(0, np.int64)
            if renders is not None:
                extra = rng.choice(len(renders.crops), round(RENDER_SHARE * batch))
                views += [disturb(renders.crops[i], renders.points[i], mirror, rng, mirrored=False) for i in extra]
            crops, points = zip(*views, strict=True)
            tokens = encoder(torch.from_numpy(np.stack(crops)), torch.from_numpy(np.stack(points)))
            logits = encoder.expressions(tokens)
            losses = -(torch.from_numpy(faces.targets[picks]) * logits[:batch].log_softmax(1)).sum(1)
            loss = (losses * torch.from_numpy(faces.weights[picks])).mean()
            if renders is not None:
                said = nn.functional.binary_cross_entropy_with_logits(unit_head(tokens[batch:]), torch.from_numpy(renders.units[extra]))
                loss = loss + UNIT_WEIGHT * said
                if label_renders:
                    loss = loss + RENDER_SHARE * -(torch.from_numpy(renders.targets[extra]) * logits[batch:].log_softmax(1)).sum(1).mean()
            _step(loss, encoder_and_head, optimizer, schedule, average, step)
            done += 1
            if done % 20 == 1:
                say("face encoder", done / whole, f"loss {loss.item():.3f}")
        encoder_and_head.load_state_dict(average)
    return encoder.eval()


def mirror_index(mean: Floats) -> NDArray[np.intp]:
    """[468] which landmark each becomes when the face is mirrored, found on the mean face."""
    flipped = mean * np.array([-1, 1, 1])
    gaps = np.square(flipped[None] - mean[:, None])
    return (gaps[..., :2].sum(-1) + 0.3 * gaps[..., 2]).argmin(1)


def disturb(
    crop: NDArray[np.uint8], points: Floats, mirror: NDArray[np.intp], rng: np.random.Generator, *, mirrored: bool = True
) -> tuple[Floats, Floats]:
    """One training view of a face: crop [64, 64] float32 and landmarks [468, 3]; mirrored half the time unless told not to be."""
    side = len(crop)
    turn: Floats = cv2.getRotationMatrix2D((side / 2, side / 2), rng.normal(0, 6), float(np.exp(rng.normal(0, 0.07))))
    turn[:, 2] += rng.normal(0, 2, 2) - ROOM_PX / 2
    image: Floats = cv2.warpAffine(crop, turn, (CROP_PX, CROP_PX), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    chance = rng.random()
    if chance < 0.15:
        width = int(rng.choice([3, 5]))
        image = cv2.GaussianBlur(image, (width, width), 0)
    elif chance < 0.3:  # as if the face had been small
        small = int(rng.integers(20, 44))
        image = cv2.resize(cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), (CROP_PX, CROP_PX))
    if rng.random() < 0.3:
        image = 255 * np.clip(image / 255, 0, 1) ** np.exp(rng.normal(0, 0.4))
    if rng.random() < 0.3:
        image = image + rng.normal(0, rng.uniform(2, 12), image.shape)
    if rng.random() < 0.35:  # a hand, a cup, a microphone
        height, width = rng.integers(8, 28, 2)
        top, left = rng.integers(0, CROP_PX - height), rng.integers(0, CROP_PX - width)
        image[top : top + height, left : left + width] = rng.uniform(0, 255)
    angle = np.deg2rad(rng.normal(0, 3))
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = points + rng.normal(0, 0.003, points.shape)
    moved[:, :2] = moved[:, :2] @ spin.T * np.exp(rng.normal(0, 0.03)) + rng.normal(0, 0.01, 2)
    if rng.random() < 0.5 and mirrored:
        image, moved = image[:, ::-1], moved[mirror] * np.array([-1, 1, 1])
    return np.ascontiguousarray(image, np.float32), moved.astype(np.float32)


# -- voices


@dataclass(frozen=True, slots=True)
class VoicePiece:
    """One utterance as the voice encoder sees it."""

    layers: Tensor  # [layers, N, D_enc] float16
    prosody: Tensor  # [9]
    item: Item


def prepare_voices(corpus: Corpus, say: Say, seed: int) -> tuple[list[VoicePiece], dict[str, set[str]]]:
    """Encode every labelled training utterance twice: as it is, and with another speed, level and some noise."""
    import soxr

    items = [i for i in corpus.items(split="train") if i.modality == "speech" and i.label in EMOTIONS]
    if not items:
        raise DataError(f"no labelled speech with split train in {corpus.folder}.")
    rng = np.random.default_rng(seed)
    whisper = Whisper(weights.locate("whisper-base"))
    pieces: list[VoicePiece] = []
    with tempfile.TemporaryDirectory() as private:
        path = Path(private) / "voice"
        for number, item in enumerate(items):
            if number % 50 == 0:
                say("hearing voices", number / len(items), f"{number} of {len(items)}")
            path.write_bytes(corpus.read(item))
            try:
                audio = decode_clip(path).audio
            except MediaError:
                continue
            if audio is None:
                continue
            other = soxr.resample(audio, AUDIO_HZ, AUDIO_HZ * rng.choice([0.9, 0.94, 1.06, 1.1])).astype(np.float32)
            noise = float(np.sqrt(np.mean(other**2))) * 10 ** (-rng.uniform(12, 35) / 20)
            other = (other + rng.normal(0, noise, len(other)).astype(np.float32)) * 10 ** (rng.uniform(-6, 3) / 20)
            pieces += [p for p in (_piece(whisper, a, item) for a in (audio, other)) if p is not None]
    sets: dict[str, set[str]] = {}
    for item in items:
        sets.setdefault(item.corpus, set()).add(item.label or "")
    return pieces, sets


def _piece(whisper: Whisper, audio: Floats, item: Item) -> VoicePiece | None:
    spans = speech_spans(audio)
    start, end = (spans[0][0], spans[-1][1]) if spans else (0.0, len(audio) / AUDIO_HZ)
    layers = whisper.hear(audio, spans, transcribe=False).layers
    first = int(start * LAYERS_HZ)
    cut = layers[:, first : max(first + 2, int(np.ceil(end * LAYERS_HZ)))]
    if cut.shape[1] < 2:
        return None
    return VoicePiece(cut, torch.from_numpy(measure(audio[round(start * AUDIO_HZ) : round(end * AUDIO_HZ)]).vector()), item)


def train_voice(
    pieces: Sequence[VoicePiece], sets: dict[str, set[str]], *, epochs: int, seed: int, say: Say, batch: int = 32
) -> VoiceEncoder:
    """Train on labels, each corpus within its own label set, and on arousal, valence and dominance where they were rated."""
    rng = np.random.default_rng(seed)
    encoder = VoiceEncoder()
    per_epoch = max(1, len(pieces) // batch)
    optimizer, schedule, average = _optimizer(encoder, 1e-3, epochs * per_epoch)
    closed = {c: torch.tensor([0.0 if e in names else -1e4 for e in EMOTIONS]) for c, names in sets.items()}
    encoder.train()
    for step in range(epochs * per_epoch):
        if step % per_epoch == 0:
            order = rng.permutation(len(pieces))
        part = [pieces[i] for i in order[step % per_epoch * batch :][:batch]]
        tokens = encoder(*_voice_batch(part, rng))
        truth = torch.tensor([EMOTIONS.index(p.item.label or "") for p in part])
        loss = nn.functional.cross_entropy(encoder.emotions(tokens) + torch.stack([closed[p.item.corpus] for p in part]), truth)
        rated = [i for i, p in enumerate(part) if "arousal" in p.item.extra]
        if rated:
            scale = [[part[i].item.extra[k] for k in ("arousal", "valence", "dominance")] for i in rated]
            loss = loss + 0.3 * nn.functional.mse_loss(encoder.dimensions(tokens[rated]), (torch.tensor(scale) - 3) / 2)
        _step(loss, encoder, optimizer, schedule, average, step)
        if step % 20 == 0:
            say("voice encoder", step / (epochs * per_epoch), f"loss {loss.item():.3f}")
    encoder.load_state_dict(average)
    return encoder.eval()


def _voice_batch(part: Sequence[VoicePiece], rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Layers [B, layers, N, D_enc], mask [B, N] and prosody [B, 9], with random cuts, gaps and silenced measures."""
    cuts: list[Tensor] = []
    for piece in part:
        layers = piece.layers
        if layers.shape[1] > 12 and rng.random() < 0.5:
            length = int(layers.shape[1] * rng.uniform(0.6, 1))
            at = int(rng.integers(0, layers.shape[1] - length + 1))
            layers = layers[:, at : at + length]
        cuts.append(layers)
    longest = max(c.shape[1] for c in cuts)
    layers = torch.zeros(len(part), cuts[0].shape[0], longest, cuts[0].shape[2])
    mask = torch.zeros(len(part), longest, dtype=torch.bool)
    for i, cut in enumerate(cuts):
        layers[i, :, : cut.shape[1]] = cut.float()
        mask[i, : cut.shape[1]] = True
    gap = int(rng.integers(0, max(1, longest - 4)))
    holes = mask.clone()
    holes[:, gap : gap + int(rng.integers(0, 5))] = False
    mask = torch.where(holes.sum(1, keepdim=True) > 3, holes, mask)
    prosody = torch.stack([p.prosody for p in part])
    prosody = (prosody + torch.randn_like(prosody) * 0.05) * (torch.rand(len(part), 1) > 0.3)
    return layers, mask, prosody


# -- both


def _optimizer(
    encoder: nn.Module, rate: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, dict[str, Tensor]]:
    plain = [p for p in encoder.parameters() if p.ndim <= 1]
    decayed = [p for p in encoder.parameters() if p.ndim > 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}], lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.1)
    return optimizer, schedule, {k: v.clone() for k, v in encoder.state_dict().items()}


def _step(
    loss: Tensor,
    encoder: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    average: dict[str, Tensor],
    step: int,
) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    keep = min(AVERAGE, (step + 1) / (step + 20))
    for name, value in encoder.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - keep)
        else:
            average[name].copy_(value)
