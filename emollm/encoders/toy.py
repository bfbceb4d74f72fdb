"""Random stand-ins for pretrained encoders, so that a whole system builds in seconds without any download."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np
import torch

from emollm.encoders.base import Look, Sensed
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


class ToyBackbone:
    """Random projections of a clip in the shapes of real backbones, for tests. A row of a picture or of a second of sound moves with it."""

    def __init__(
        self, gives: Mapping[str, int], rows: Mapping[str, int] | None = None, *, sound: bool = False, face: bool = False, **_: object
    ) -> None:
        self.gives = dict(gives)
        self._rows, self._sound, self._face = dict(rows or {}), sound, face
        generator = torch.Generator().manual_seed(0)
        self._mix = {name: torch.randn(64, width, generator=generator) / 8 for name, width in gives.items()}

    @classmethod
    def from_config(cls, gives: Mapping[str, int], rows: Mapping[str, int] | None = None, **more: Any) -> ToyBackbone:
        """Widths by output, and rows in all of outputs that are not one row a moment; options of real ones are ignored."""
        return cls(gives, rows, **more)

    def __call__(self, look: Look) -> dict[str, Sensed]:
        """See `Backbone`."""
        if self._sound:
            if look.audio is None or not len(look.audio):
                return {}
            pieces = [np.resize(np.abs(np.fft.rfft(p))[:64], 64) for p in np.array_split(look.audio, 8)]
            times: tuple[float, ...] = ()
        else:
            images = look.crops[look.seen] if self._face else look.frames
            if not len(images):
                return {}
            pieces = [
                cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (8, 8), interpolation=cv2.INTER_AREA).reshape(-1) / 255
                for image in images
            ]
            times = tuple(np.asarray(look.times_s)[look.seen if self._face else slice(None)].tolist())
        seen = torch.from_numpy(np.stack(pieces)).float()
        found: dict[str, Sensed] = {}
        for name, mix in self._mix.items():
            tokens, wanted = seen @ mix, self._rows.get(name)
            if wanted is not None:
                picks = torch.linspace(0, len(tokens) - 1, wanted).round().long()
                found[name] = (tokens[picks], ())
            else:
                found[name] = (tokens, times)
        return found
