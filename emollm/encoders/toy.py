"""Random stand-ins for pretrained encoders, so that a whole system builds in seconds without any download."""

from __future__ import annotations

from collections.abc import Callable

import torch

from emollm.encoders.speech import LAYERS_HZ, Heard
from emollm.values import AUDIO_HZ, Floats


class ToySpeech:
    """Hidden layers of the right shape from the sound's own samples, and never a transcript."""

    def hear(
        self,
        audio: Floats,
        spans_s: tuple[tuple[float, float], ...],
        *,
        transcribe: bool = True,
        language: str | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Heard:
        """See `Whisper.hear`."""
        steps = max(2, round(len(audio) / AUDIO_HZ * LAYERS_HZ))
        levels = torch.nn.functional.adaptive_avg_pool1d(torch.from_numpy(audio).abs()[None], steps)[0]
        waves = torch.sin(torch.arange(512) * 0.1 + torch.arange(7)[:, None])
        return Heard((levels[None, :, None] * waves[:, None, :]).half(), None)
