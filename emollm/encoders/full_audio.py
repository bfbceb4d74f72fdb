"""HuBERT and Whisper's encoder as frozen backbones: a sound to 8 or 64 vectors.

Source: eight stretches of two seconds at evenly spaced starts and the layers taken follow Nano-EmoX; 64 vectors of Whisper's last
layer follow Emotion-LLaMAv2 (arXiv 2601.16449); both as their public code does it.
Differs: only steps that hold sound are averaged, and each stretch is normalised for itself. Nano-EmoX normalises over the whole batch;
Emotion-LLaMAv2 pools over Whisper's padded half minute (`padded`), where a short clip owns few of the 64 vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emollm.encoders.base import Look, Sensed
from emollm.encoders.pretrained import check_taps, from_transformers, frozen
from emollm.encoders.speech import PAD_S, WINDOW_S, hidden_states
from emollm.values import AUDIO_HZ, Floats

CLIP_S = 2.0
STEPS_HZ = 50  # of Whisper's encoder
LAST = 4  # hidden states averaged in `clips`


def starts(seconds: float, count: int) -> tuple[float, ...]:
    """When `count` stretches of two seconds begin that cover a sound evenly; all at 0 where it is no longer than one."""
    return tuple(float(s) for s in np.linspace(0, max(seconds - CLIP_S, 0.0), count))


class Hubert(nn.Module):
    """HuBERT large.

    Gives `clips` [8, 1024], the mean of the last four hidden states over each stretch, and `depths` [8, 3072], the means of three
    hidden states side by side. A sound under two seconds is heard eight times.
    """

    gives: Mapping[str, int]

    def __init__(self, net: Any, *, clips: int = 8, layers: Sequence[int] = (16, 18, 22)) -> None:
        """Wrap a network.

        Args:
            net: HubertModel.
            clips: Stretches of two seconds.
            layers: Hidden states in `depths`; 0 is the embedding.

        Raises:
            CheckpointError: If the network has not so many layers.
        """
        super().__init__()
        check_taps(layers, net.config.num_hidden_layers, "HuBERT")
        self.net = net
        self.clips, self.layers = clips, tuple(layers)
        width = net.config.hidden_size
        self.gives = {"clips": width, "depths": width * len(self.layers)}

    @classmethod
    def from_folder(cls, folder: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32, **options: Any) -> Hubert:
        """From a transformers folder, with or without a head; CheckpointError if it is incomplete."""
        from transformers import HubertModel

        return frozen(cls(from_transformers(HubertModel, folder, dtype, may_lack=("masked_spec_embed",)), **options), device)

    @classmethod
    def from_config(cls, *, tiny: bool = False, **options: Any) -> Hubert:
        """Random weights: large (24 layers of width 1024), or 4 layers of width 32."""
        from transformers import HubertConfig, HubertModel

        shape: dict[str, Any] = {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "conv_bias": True,
        }
        if tiny:
            shape = {
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 4,
                "num_attention_heads": 2,
                "conv_dim": (16,) * 7,
                "num_conv_pos_embeddings": 16,
                "num_conv_pos_embedding_groups": 2,
            }
            options = {"layers": (1, 2, 3)} | options
        config = HubertConfig(feat_extract_norm="layer", do_stable_layer_norm=True, **shape)
        return frozen(cls(HubertModel(config), **options))

    @torch.inference_mode()
    def forward(self, look: Look) -> dict[str, Sensed]:
        """Both outputs, or nothing without sound."""
        if look.audio is None or not len(look.audio):
            return {}
        begin = starts(len(look.audio) / AUDIO_HZ, self.clips)
        sound, heard = self._stretches(look.audio, begin)
        sound, heard = sound.to(self.net.device), heard.to(self.net.device)
        states = self.net(sound.to(self.net.dtype), attention_mask=heard, output_hidden_states=True).hidden_states
        steps = self.net._get_feature_vector_attention_mask(states[0].shape[1], heard)[..., None].float()  # [clips, N, 1]

        def mean(x: Tensor) -> Tensor:
            return (x.float() * steps).sum(1) / steps.sum(1)  # [clips, D]

        last = torch.stack([s.float() for s in states[-LAST:]]).mean(0)
        return {"clips": (mean(last), begin), "depths": (torch.cat([mean(states[n]) for n in self.layers], 1), begin)}

    @staticmethod
    def _stretches(audio: Floats, begin: Sequence[float]) -> tuple[Tensor, Tensor]:
        """[S] samples to [clips, 32000] stretches of mean 0 and spread 1, zeros after its end, and [clips, 32000] ones where it is."""
        length = round(CLIP_S * AUDIO_HZ)
        sound, heard = np.zeros((len(begin), length), np.float32), np.zeros((len(begin), length), np.int64)
        for row, start in enumerate(begin):
            piece = audio[round(start * AUDIO_HZ) :][:length].astype(np.float32)
            sound[row, : len(piece)] = (piece - piece.mean()) / np.sqrt(piece.var() + 1e-7)
            heard[row, : max(len(piece), 400)] = 1  # the network's first step looks at 400 samples
        return torch.from_numpy(sound), torch.from_numpy(heard)


class WhisperLine(nn.Module):
    """Whisper's encoder.

    Gives `line` [64, D], the last hidden state averaged over 64 equal parts of the sound; `clips` [8, D], the mean of the last four
    layers over stretches of two seconds; and `depths` [8, 3 D], the means of three layers side by side. D is 1280 for large-v3.
    Sounds over half a minute are heard half a minute at a time.
    """

    gives: Mapping[str, int]

    def __init__(
        self, net: Any, *, rows: int = 64, clips: int = 8, taps: Sequence[float] = (0.66, 0.75, 0.92), padded: bool = False
    ) -> None:
        """Wrap an encoder.

        Args:
            net: WhisperEncoder.
            rows: Of `line`.
            clips: Stretches of two seconds.
            taps: Layers of `depths` as shares of the depth.
            padded: Pool `line` over the first half minute with its silence, as Emotion-LLaMAv2 was released.
        """
        super().__init__()
        from transformers import WhisperFeatureExtractor

        self.net = net
        self.mel: Any = WhisperFeatureExtractor(feature_size=net.config.num_mel_bins)
        self.rows, self.clips, self.padded = rows, clips, padded
        self.taps = tuple(max(1, int(net.config.encoder_layers * share + 0.5)) for share in taps)  # 4, 5, 6 of base; 21, 24, 29 of large
        width = net.config.d_model
        self.gives = {"line": width, "clips": width, "depths": width * len(self.taps)}

    @classmethod
    def from_folder(cls, folder: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32, **options: Any) -> WhisperLine:
        """From any transformers folder of Whisper, whose decoder is let go; CheckpointError if it is incomplete."""
        from transformers import WhisperModel

        return frozen(cls(from_transformers(WhisperModel, folder, dtype).encoder, **options), device)

    @classmethod
    def from_config(cls, *, tiny: bool = False, **options: Any) -> WhisperLine:
        """Random weights: large-v3 (32 layers of width 1280), or 4 layers of width 32."""
        from transformers import WhisperConfig
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        shape: dict[str, Any] = {
            "d_model": 1280,
            "encoder_layers": 32,
            "encoder_attention_heads": 20,
            "encoder_ffn_dim": 5120,
            "num_mel_bins": 128,
        }
        if tiny:
            shape = {
                "d_model": 32,
                "encoder_layers": 4,
                "encoder_attention_heads": 2,
                "encoder_ffn_dim": 64,
                "num_mel_bins": 80,
            }
        return frozen(cls(WhisperEncoder(WhisperConfig(**shape)), **options))

    @torch.inference_mode()
    def forward(self, look: Look) -> dict[str, Sensed]:
        """All three outputs, or nothing without sound."""
        if look.audio is None or not len(look.audio):
            return {}
        seconds = len(look.audio) / AUDIO_HZ
        layers = self._layers(look.audio)  # [3 taps + mean of the last four + last, N, D]
        last = layers[-1]
        whole = seconds
        if self.padded:
            whole = WINDOW_S
            last = self._states(look.audio[: round(WINDOW_S * AUDIO_HZ)], whole=True)[-1]  # [1500, D]
        line = nn.functional.adaptive_avg_pool1d(last.T[None], self.rows)[0].T  # [rows, D]
        begin = starts(seconds, self.clips)
        cut = torch.stack([self._cut(layers, s).mean(1) for s in begin])  # [clips, 5, D]
        return {
            "line": (line, tuple(whole * i / self.rows for i in range(self.rows))),
            "clips": (cut[:, -2], begin),
            "depths": (cut[:, : len(self.taps)].flatten(1), begin),
        }

    @staticmethod
    def _cut(layers: Tensor, start: float) -> Tensor:
        first = min(round(start * STEPS_HZ), layers.shape[1] - 1)
        return layers[:, first : first + round(CLIP_S * STEPS_HZ)]

    def _layers(self, audio: Floats) -> Tensor:
        """[S] samples to [taps + 2, N, D] float32: the tapped layers, the mean of the last four, the last; steps with sound only."""
        window = round(WINDOW_S * AUDIO_HZ)
        parts = []
        for at in range(0, len(audio), window):
            piece = audio[at : at + window]
            heard = max(1, round(len(piece) / AUDIO_HZ * STEPS_HZ))
            states = self._states(piece)[:, :heard]
            parts.append(torch.cat([states[list(self.taps)], states[-LAST:].mean(0, keepdim=True), states[-1:]]))
        return torch.cat(parts, 1)

    def _states(self, audio: Floats, *, whole: bool = False) -> Tensor:
        """At most half a minute to all hidden states [1 + layers, N, D] float32; `whole` hears the rest of the half minute as silence."""
        seconds = WINDOW_S if whole else min(WINDOW_S, len(audio) / AUDIO_HZ + PAD_S)
        return hidden_states(self.net, self.mel, audio, seconds).float()
