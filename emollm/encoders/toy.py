"""Random stand-ins for pretrained encoders, so that a whole system builds in seconds without any download."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from emollm.encoders.speech import LAYERS_HZ, Window
from emollm.values import AUDIO_HZ, Floats


class ToySpeech:
    """Hidden layers of the right shape from the sound's own samples, and never a transcript."""

    def windows(
        self, audio: Floats, spans_s: tuple[tuple[float, float], ...], *, transcribe: bool = True, language: str | None = None
    ) -> Iterator[Window]:
        """See `Whisper.windows`."""
        seconds = len(audio) / AUDIO_HZ
        steps = max(2, round(seconds * LAYERS_HZ))
        levels = torch.nn.functional.adaptive_avg_pool1d(torch.from_numpy(audio).abs()[None], steps)[0]
        waves = torch.sin(torch.arange(512) * 0.1 + torch.arange(7)[:, None])
        yield Window(0.0, seconds, (levels[None, :, None] * waves[:, None, :]).half())
