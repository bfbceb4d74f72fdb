"""Our voice encoder, trained on labelled speech: hidden layers of Whisper and measured prosody to one token a stretch."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from emollm import weights
from emollm.data.corpus import Corpus, Item
from emollm.encoders.prosody import measure, speech_spans
from emollm.encoders.speech import LAYERS_HZ, Whisper, joined
from emollm.encoders.voice import EMOTIONS, VoiceEncoder
from emollm.errors import DataError, MediaError
from emollm.media.decode import decode_clip
from emollm.training.steps import Say, optimizer_for, step_once
from emollm.values import AUDIO_HZ, Floats


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
    layers = joined(whisper.windows(audio, spans, transcribe=False)).layers
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
    optimizer, schedule, average = optimizer_for(encoder, 1e-3, epochs * per_epoch)
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
        step_once(loss, encoder, optimizer, schedule, average, step)
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
