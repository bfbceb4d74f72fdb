"""Whisper once: one encoder pass gives all hidden layers for the voice and the transcript by the decoder of the same weights.

Emotions are not known here. Differs from transformers' own use: windows are as long as the speech needs, not always 30 s, which
is about five times cheaper for a short clip.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emollm.encoders.alignment import FRAMES_HZ, token_times, watched
from emollm.encoders.eight_bits import in_eight_bits
from emollm.processor import fast_bfloat16, fast_eight_bits
from emollm.values import AUDIO_HZ, Floats, Segment, Transcript, Word

WINDOW_S = 30.0
SLACK = 0.85  # of the longest window, used on average where a sound is cut
TOGETHER = 3  # windows whose words are written down at once; each holds 50 MB meanwhile
PAD_S = 1.0  # silence after the last word, which the decoder needs to end its sentence
SURE_LANGUAGE = 0.5  # least probability at which a detected language is believed
TESTED_LANGUAGES = ("en", "de", "da")
LAYERS_HZ = 12.5  # rate of the hidden layers that are kept


@dataclass(frozen=True, slots=True)
class Window:
    """What one pass over a stretch of at most half a minute gives."""

    start_s: float
    end_s: float
    layers: Tensor  # [layers, N, D_enc] float16 at 12.5 Hz
    segments: tuple[Segment, ...] = ()
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Spoken:
    """A window that holds speech, ready to be written down."""

    state: Tensor  # [N, D_enc] last hidden state at 50 Hz; N is the same for all that are written down together
    seconds: float
    offset_s: float  # of the window in its sound
    spoken_until_s: float  # in the window


@dataclass(frozen=True, slots=True)
class Heard:
    """What one pass over a whole sound gives."""

    layers: Tensor  # [layers, N, D_enc] float16 at 12.5 Hz
    transcript: Transcript | None


def joined(windows: Iterable[Window]) -> Heard:
    """All windows of a short sound as one; the memory of a long one's layers is better not spent."""
    found = list(windows)
    segments = tuple(s for w in found for s in w.segments)
    language = next((w.language for w in found if w.language), None)
    layers = torch.cat([w.layers for w in found], 1) if found else torch.zeros(1, 0, 1)
    return Heard(layers, Transcript(language, segments) if segments and language else None)


def hidden_states(encoder: Any, mel_of: Any, audio: Floats, seconds: float) -> Tensor:
    """[S] samples, padded with silence to `seconds`, to all hidden states [1 + layers, N, D_enc] at 50 Hz; the last one is normalised.

    Args:
        encoder: Of a Whisper model of transformers.
        mel_of: Its feature extractor.
        audio: At 16 kHz.
        seconds: At most 30; no longer than the speech needs, since the cost grows with it.
    """
    padded = np.pad(audio, (0, max(0, math.ceil(seconds * AUDIO_HZ) - len(audio))))
    mel = mel_of(padded, sampling_rate=AUDIO_HZ, return_tensors="pt", padding="do_not_pad").input_features
    mel = mel[..., : mel.shape[-1] // 8 * 8].to(encoder.conv1.weight)  # whole 12.5 Hz steps, where the weights are
    x = torch.nn.functional.gelu(encoder.conv1(mel))
    x = torch.nn.functional.gelu(encoder.conv2(x)).transpose(1, 2)  # [1, N, D_enc]
    x = x + encoder.embed_positions.weight[: x.shape[1]]
    states = [x[0]]
    for layer in encoder.layers:
        x = layer(x, None)
        x = x[0] if isinstance(x, tuple) else x
        states.append(x[0])
    states[-1] = encoder.layer_norm(states[-1])
    return torch.stack(states)


class Whisper:
    """A Whisper model of transformers, from a local folder."""

    def __init__(self, folder: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        from transformers import WhisperForConditionalGeneration, WhisperProcessor

        self._model: Any = WhisperForConditionalGeneration.from_pretrained(folder, dtype=dtype).to(device).eval()  # type: ignore[arg-type]
        settings = self._model.generation_config
        settings.max_length = None  # each window sets its own limit
        _never_write(self._model.proj_out, settings.suppress_tokens or ())
        settings.suppress_tokens = settings.begin_suppress_tokens = None  # the first piece is a time stamp in any case
        self._ready_to_write(device, dtype)
        processor = WhisperProcessor.from_pretrained(folder)
        self._mel: Any = processor.feature_extractor
        self._tokenizer: Any = processor.tokenizer
        self._languages = {i: t.strip("<|>") for t, i in self._model.generation_config.lang_to_id.items()}
        self.device, self.dtype = device, dtype

    def _ready_to_write(self, device: str, dtype: torch.dtype) -> None:
        """The decoder reads all its weights for every word piece: fewer bits, less to read. The encoder, which feeds the voice, stays."""
        model, self._decoder_dtype = self._model, dtype
        if device != "cpu" or dtype != torch.float32:
            return
        if fast_eight_bits():  # a word piece in 9 to 12 ms instead of 25, on one thread; docs/results.md has what it changes
            model.model.decoder, model.proj_out = in_eight_bits(model.model.decoder), in_eight_bits(model.proj_out)
        elif fast_bfloat16():  # three windows at once in a fifth of the time, with the same words
            self._decoder_dtype = torch.bfloat16
            model.model.decoder.to(torch.bfloat16)
            model.proj_out.to(torch.bfloat16)

    @torch.inference_mode()
    def encode(self, audio: Floats, least_s: float = 0.0) -> Tensor:
        """[S] samples, at most 30 s, padded with silence to `least_s`, to all hidden states [layers, N, D_enc] at 50 Hz."""
        seconds = min(WINDOW_S, max(len(audio) / AUDIO_HZ, least_s) + PAD_S)
        return hidden_states(self._model.model.encoder, self._mel, audio, seconds)

    @torch.inference_mode()
    def transcribe(self, spoken: Sequence[Spoken], *, language: str | None) -> list[Transcript]:
        """Hidden states of windows to segments with times, all windows together; `language` None is detected in the first.

        The decoder reads all its weights for every step, so a few windows at once cost hardly more than one.
        """
        states = torch.stack([w.state for w in spoken])  # [B, N, D_enc]
        if language is None:
            language = self._language_of(self._memory(spoken[0].state[None]))
        ids = self._model.generate(
            encoder_outputs=self._memory(states),
            language=language,
            task="transcribe",
            return_timestamps=True,
            max_new_tokens=min(200, 24 + round(8 * max(w.seconds for w in spoken))),
            do_sample=False,
            num_beams=1,
            # Else transformers goes on behind a window's last time stamp with sound it was not given: it repeats itself, or fails.
            force_unique_generate_call=True,
            stopping_criteria=[self._past(torch.tensor([min(w.seconds, w.spoken_until_s) for w in spoken]))],
        )
        found = []
        for window, row in zip(spoken, ids, strict=True):
            text = self._tokenizer.decode(row, decode_with_timestamps=True, skip_special_tokens=False)
            segments = _segments(text, window.offset_s, window.offset_s + window.seconds)
            if segments:
                words = self._words(self._memory(window.state[None]), language, row, window.seconds, window.offset_s)
                segments = _with_words(segments, words)
            found.append(Transcript(language, segments))
        return found

    def _memory(self, states: Tensor) -> Any:
        """[B, N, D_enc] in the shape and type the decoder wants."""
        from transformers.modeling_outputs import BaseModelOutput

        return BaseModelOutput(last_hidden_state=states.to(self._decoder_dtype))

    def _words(self, memory: Any, language: str, ids: Tensor, seconds: float, offset_s: float) -> list[Word]:
        """Words of generated ids with their times, by one more pass of the decoder over the text alone."""
        settings = self._model.generation_config
        spoken = [int(i) for i in ids if int(i) < settings.eos_token_id]  # all ids above are not text
        start = [settings.decoder_start_token_id, settings.lang_to_id[f"<|{language}|>"], settings.task_to_id["transcribe"]]
        if not spoken:
            return []
        given = torch.tensor([[*start, settings.no_timestamps_token_id, *spoken]], device=self.device)
        with watched(self._model.model.decoder, [(layer, head) for layer, head in settings.alignment_heads]) as seen:
            logits = self._model(encoder_outputs=memory, decoder_input_ids=given).logits[0].float()
        rows = [attention[len(start) :] for attention in seen]  # each row looks where the token after it is said
        times = np.append(token_times(rows, max(1, round(seconds * FRAMES_HZ))), seconds)
        sure = logits[len(start) : -1].softmax(-1)[torch.arange(len(spoken)), torch.tensor(spoken)].cpu().numpy()
        found = []
        for first, last in _word_bounds([self._tokenizer.decode([i]) for i in spoken]):
            text = self._tokenizer.decode(spoken[first:last]).strip()
            if text:
                begin, end = (offset_s + float(min(times[k], seconds)) for k in (first, last))
                found.append(Word(round(begin, 2), round(max(end, begin + 0.02), 2), text, round(float(sure[first:last].mean()), 3)))
        return found

    def _past(self, ends_s: Tensor) -> Callable[..., Tensor]:
        """Stop a window, of [B], once a time stamp reaches the end of its speech: beyond it the decoder only repeats itself."""
        first_stamp = self._model.generation_config.no_timestamps_token_id + 1

        def stop(ids: Tensor, _scores: Any, **_: Any) -> Tensor:
            stamp = (ids[:, -1] - first_stamp) * 0.02
            return (stamp >= ends_s.to(stamp.device) - 0.3) & (stamp > 0)

        return stop

    def _language_of(self, memory: Any) -> str:
        start = torch.tensor([[self._model.config.decoder_start_token_id]], device=self.device)
        logits = self._model(encoder_outputs=memory, decoder_input_ids=start).logits[0, -1]
        known = torch.tensor(list(self._languages), device=logits.device)
        chances = logits[known].float().softmax(0).tolist()
        found = dict(zip((self._languages[int(i)] for i in known), chances, strict=True))
        # A few quiet words make it guess any of a hundred languages; an unsure guess is settled among those that emollm is tested with.
        return max(found if max(chances) >= SURE_LANGUAGE else TESTED_LANGUAGES, key=lambda name: found[name])

    def windows(
        self, audio: Floats, spans_s: tuple[tuple[float, float], ...], *, transcribe: bool = True, language: str | None = None
    ) -> Iterator[Window]:
        """Encode a sound once, window by window, and write down the words of those that hold speech.

        Args:
            audio: [S] samples at 16 kHz.
            spans_s: Stretches of speech, from `speech_spans`.
            transcribe: Write words down.
            language: ISO 639-1; None to detect it in the first window with speech.
        """
        # Level first: quiet recordings lose words, and loudness is measured elsewhere.
        level = math.sqrt(float(np.dot(audio, audio)) / len(audio)) if len(audio) else 0.0
        gain = min(20.0, 0.05 / max(level, 1e-5)) if level < 0.05 else 1.0
        cuts = windows_of(len(audio) / AUDIO_HZ, spans_s)
        for group in (cuts[i : i + TOGETHER] for i in range(0, len(cuts), TOGETHER)):
            layers, spoken, widest = [], [], max(end - start for start, end in group)
            for start, end in group:
                piece = audio[round(start * AUDIO_HZ) : round(end * AUDIO_HZ)] * gain
                states = self.encode(np.clip(piece, -1, 1), widest)  # of one length, to be decoded together
                slim = torch.nn.functional.avg_pool1d(states.float().transpose(1, 2), 4).transpose(1, 2)
                layers.append(slim[:, : max(1, round((end - start) * LAYERS_HZ))].half().cpu())
                if transcribe and any(s < end and e > start for s, e in spans_s):
                    spoken.append(Spoken(states[-1], end - start, start, max(e for s, e in spans_s if s < end) - start))
            said = {w.offset_s: t for w, t in zip(spoken, self.transcribe(spoken, language=language), strict=True)} if spoken else {}
            for (start, end), kept in zip(group, layers, strict=True):
                part = said.get(start)
                language = part.language if part is not None else language
                yield Window(start, end, kept, tuple(in_speech(part.segments, spans_s)) if part is not None else (), language)


def _never_write(out: Any, ids: Sequence[int]) -> None:
    """Word pieces that are never written get a bias: transformers looks them all up anew for every piece, which takes it 2 ms."""
    out.bias = torch.nn.Parameter(torch.zeros_like(out.weight[:, 0]), requires_grad=False)
    out.bias[list(ids)] = -torch.inf


def in_speech(segments: Sequence[Segment], spans_s: Sequence[tuple[float, float]]) -> list[Segment]:
    """Words that begin or end in silence are brought to the speech next to them; segments begin and end with their words."""
    found = []
    for segment in segments:
        words = [replace(w, start_s=a, end_s=max(b, round(a + 0.02, 2))) for w in segment.words for a, b in [_brought(w, spans_s)]]
        if words:
            segment = replace(segment, start_s=words[0].start_s, end_s=max(w.end_s for w in words), words=tuple(words))  # noqa: PLW2901
        found.append(segment)
    return found


def _brought(word: Word, spans_s: Sequence[tuple[float, float]]) -> tuple[float, float]:
    inside = [(max(a, word.start_s), min(b, word.end_s)) for a, b in spans_s if a < word.end_s and b > word.start_s]
    if not inside:
        return word.start_s, word.end_s
    longest = max(inside, key=lambda piece: piece[1] - piece[0])  # one word is not said on both sides of a pause
    return round(longest[0], 2), round(longest[1], 2)


def windows_of(duration_s: float, spans_s: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """Cut a sound into stretches of like length, at most 29 s, in pauses where there are any, so that words stay whole.

    Like length, because windows are written down together and the longest decides how long that takes.
    """
    longest = WINDOW_S - PAD_S
    pauses = [(a[1] + b[0]) / 2 for a, b in itertools.pairwise(spans_s)]
    count = math.ceil(duration_s / longest)
    if count > 1:
        count = math.ceil(duration_s / (SLACK * longest))  # room to look for a pause
    cuts = [0.0]
    for left in range(count, 1, -1):
        even = cuts[-1] + (duration_s - cuts[-1]) / left
        earliest, latest = max(cuts[-1] + longest / 2, duration_s - (left - 1) * longest), cuts[-1] + longest
        cuts.append(min((p for p in pauses if earliest <= p <= latest), key=lambda p: abs(p - even), default=even))
    return [(a, b) for a, b in zip(cuts, [*cuts[1:], duration_s], strict=True) if b - a > 0.05]


def _word_bounds(pieces: Sequence[str]) -> list[tuple[int, int]]:
    """Half-open ranges of tokens that make up a word: a new one begins with a space. Scripts without spaces give one word a segment."""
    starts = [i for i, piece in enumerate(pieces) if i == 0 or piece.startswith(" ")]
    return list(itertools.pairwise([*starts, len(pieces)]))


def _with_words(segments: tuple[Segment, ...], words: list[Word]) -> tuple[Segment, ...]:
    """Give each segment its words, in order, and let it begin and end with them."""
    found = []
    at = 0
    for number, segment in enumerate(segments):
        count = len(segment.text.split())
        mine = words[at:] if number == len(segments) - 1 else words[at : at + count]
        at += len(mine)
        if mine:
            begin, end = mine[0].start_s, min(max(mine[-1].end_s, mine[0].start_s + 0.1), max(segment.end_s, mine[0].start_s + 0.1))
            segment = Segment(begin, end, segment.text, tuple(mine))  # noqa: PLW2901
        found.append(segment)
    return tuple(found)


def _segments(text: str, start_s: float, end_s: float) -> tuple[Segment, ...]:
    """Whisper's "<|0.00|> words<|2.40|>" to segments; a missing closing stamp ends with the window."""
    found = []
    for match in re.finditer(r"<\|(\d+\.\d+)\|>([^<]+)(?:<\|(\d+\.\d+)\|>)?", text):
        words = match.group(2).strip()
        begin = min(start_s + float(match.group(1)), end_s)
        close = min(start_s + float(match.group(3)), end_s) if match.group(3) else end_s
        if words and close > begin:
            found.append(Segment(round(begin, 2), round(max(close, begin), 2), words))
    return tuple(found)
