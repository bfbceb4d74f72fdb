"""Our voice encoder: hidden layers of a speech model and measured prosody to 256-wide tokens of how speech sounds.

It knows sound that has been judged to be speech; silence never reaches it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise", "bored")
WIDTH = 256
TEMPERATURE = 1.3  # least calibration error over RAVDESS, EmoDB and EmoTale val together: 0.05; few speakers make the encoder too sure
PROSODY = 9  # length of Prosody.vector()


class VoiceEncoder(nn.Module):
    """A learned mix of all layers, a little context, attentive statistics, then one token for a stretch of speech.

    The last layer of a speech recogniser is tuned for words and forgets the speaker's tone; the mix finds where tone lives.
    """

    width = WIDTH

    def __init__(self, *, layers: int = 7, width_in: int = 512, dropout: float = 0.4) -> None:
        super().__init__()
        inner = 192
        self.mix = nn.Parameter(torch.zeros(layers))
        self.narrow = nn.Sequential(nn.LayerNorm(width_in), nn.Linear(width_in, inner), nn.SiLU(), nn.Dropout(dropout))
        self.context = nn.Conv1d(inner, inner, 3, padding=1)
        self.attention = nn.Sequential(nn.Linear(inner, 64), nn.Tanh(), nn.Linear(64, 4))
        self.measures = nn.Sequential(nn.Linear(PROSODY, 48), nn.SiLU(), nn.Dropout(dropout / 2))
        self.join = nn.Sequential(nn.Dropout(dropout), nn.Linear(inner * 8 + 48, WIDTH), nn.LayerNorm(WIDTH))
        self.emotion = nn.Linear(WIDTH, len(EMOTIONS))
        self.dimensions = nn.Linear(WIDTH, 3)  # arousal, valence, dominance; scaled to [-1, 1]

    def forward(self, layers: Tensor, mask: Tensor, prosody: Tensor) -> Tensor:
        """Encode stretches of speech.

        Args:
            layers: [B, layers, N, D_enc] hidden states.
            mask: [B, N] bool, True = real.
            prosody: [B, 9] from `Prosody.vector`.

        Returns:
            [B, 256] tokens, layer-normalised.
        """
        weights = self.mix.softmax(0)[None, :, None, None]
        scaled = nn.functional.layer_norm(layers, layers.shape[-1:])  # layers differ in size by orders of magnitude
        x = self.narrow((scaled * weights).sum(1))  # [B, N, inner]
        x = x * mask[..., None]
        x = x + nn.functional.silu(self.context(x.transpose(1, 2)).transpose(1, 2))
        share = self.attention(x).masked_fill(~mask[..., None], -1e4).softmax(1)  # [B, N, 4]
        mean = torch.einsum("bnh,bnd->bhd", share, x)
        spread = (torch.einsum("bnh,bnd->bhd", share, x**2) - mean**2).clamp(min=1e-5).sqrt()
        pooled = torch.cat([mean.flatten(1), spread.flatten(1), self.measures(prosody)], 1)
        return self.join(pooled)

    def emotions(self, tokens: Tensor) -> Tensor:
        """[B, 256] tokens to [B, 9] logits in the order of `EMOTIONS`."""
        return self.emotion(nn.functional.silu(tokens))

    def probabilities(self, tokens: Tensor) -> Tensor:
        """[B, 256] tokens to [B, 9] calibrated probabilities."""
        return (self.emotions(tokens) / TEMPERATURE).softmax(1)
