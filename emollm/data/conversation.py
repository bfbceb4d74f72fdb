"""Turns about a clip to token ids, slots and labels: the one prompt builder of training, evaluation, app and server.

A prompt is built from segments. Words of users, transcripts and file names can never become control tokens, and slots are
positions, not text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from emollm.errors import RecipeError
from emollm.model.splice import TEXT
from emollm.motion import moves
from emollm.values import Analysis

IGNORE = -100
LONGEST_WORDS = 600  # characters of transcript the model is shown


@dataclass(frozen=True, slots=True)
class ClipView:
    """What a prompt says of a clip in words, and how many feature tokens each stream offers."""

    kind: Literal["video", "audio", "image"]
    duration_s: float
    tokens: Mapping[str, int]  # stream -> feature tokens available
    marks_s: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    cues: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    words: str | None = None
    persons: int = 1
    moves: tuple[tuple[float, tuple[str, ...]], ...] = ()  # of the main face: when, and what moves

    @classmethod
    def of(cls, analysis: Analysis) -> ClipView:
        """The view of an analysed clip."""
        features = analysis.features
        return cls(
            kind=analysis.kind,
            duration_s=analysis.duration_s,
            tokens={n: f.tokens.shape[1] for n, f in features.items()},
            marks_s={n: f.marks_s for n, f in features.items()},
            cues={n: f.cues for n, f in features.items()},
            words=analysis.words.text if analysis.words else None,
            persons=len(analysis.faces),
            moves=moves(analysis.faces[0].motions) if analysis.faces else (),
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation, with the clip it shows if it is the user's."""

    role: Literal["system", "user", "assistant"]
    text: str
    clip: ClipView | None = None
    learn: bool = False  # the model is trained to write this turn


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt ready for the model; three lists of one length L."""

    input_ids: list[int]
    slots: list[int]
    labels: list[int]
    guide: list[int] = field(default_factory=list)  # the question a clip came with


class PromptBuilder:
    """Lays out conversations for one tokenizer and one list of streams.

    Args:
        tokenizer: Of the language model.
        streams: Names in the order of the model's slots.
        counts: `EmotionModel.counts`.
        system_prompt: Put before every conversation that brings none.
        layout: Lines of a clip's block, each with one `{stream}` or `{words}` in braces; a line whose stream the clip lacks is left out.
        marked: Streams whose rows are told with their times.
    """

    def __init__(
        self,
        tokenizer: Any,
        streams: Sequence[str],
        counts: Any,
        system_prompt: str,
        layout: Sequence[str] = (),
        marked: Sequence[str] = (),
    ) -> None:
        self._tokenizer = tokenizer
        self._streams = {name: i for i, name in enumerate(streams)}
        self._counts = counts  # EmotionModel.counts: feature tokens available -> slots
        self._system_prompt = system_prompt
        self._layout = [re.split(r"{([^{}]*)}", line) for line in layout]  # before, name, after
        self._marked = frozenset(marked)
        self._fixed: dict[str, list[int]] = {}
        self._start, self._end = self._marks()

    def _marks(self) -> tuple[list[int], int]:
        """What begins and what ends a turn: chat marks where the tokenizer has them, else a heading and the end of text (LLaMA-2)."""
        ids = self._tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
        unknown = getattr(self._tokenizer, "unk_token_id", None)
        if all(i is not None and i != unknown for i in ids):
            return [ids[0]], ids[1]
        if self._tokenizer.eos_token_id is None:
            raise RecipeError("the tokenizer has neither chat marks nor an end of text, so no turn could end. Take another language model.")
        return self.text("### "), self._tokenizer.eos_token_id

    @property
    def end_id(self) -> int:
        """The id that ends a turn."""
        return int(self._end)

    def build(self, turns: Sequence[Turn], *, answer: bool = True, begun: str = "") -> Encoded:
        """Lay out the turns.

        Args:
            turns: Oldest first. The system prompt of the recipe is put in front unless the first turn is a system turn.
            answer: End with an open assistant turn, ready to be continued.
            begun: What the open turn already says.
        """
        ids: list[int] = []
        slots: list[int] = []
        labels: list[int] = []
        guide: list[int] = []

        def put(new: list[int], *, learn: bool = False, slot: int = TEXT) -> None:
            ids.extend(new)
            slots.extend([slot] * len(new))
            labels.extend(new if learn else [IGNORE] * len(new))

        if self._system_prompt and (not turns or turns[0].role != "system"):
            turns = [Turn("system", self._system_prompt), *turns]
        for turn in turns:
            put([*self._start, *self._own(f"{turn.role}\n")])
            if turn.clip is not None:
                guide = guide or self.text(turn.text)
                for piece in self._clip(turn.clip):
                    if isinstance(piece, str):
                        put(self.text(piece))
                    else:
                        put([self._end] * piece[1], slot=piece[0])  # the id does not matter: its embedding is replaced
            put(self.text(turn.text), learn=turn.learn)
            put([self._end], learn=turn.learn)
            put(self._own("\n"))
        if answer:
            put([*self._start, *self._own("assistant\n"), *self.text(begun)])
        return Encoded(ids, slots, labels, guide)

    def text(self, text: str) -> list[int]:
        """Ids of plain text; control tokens written by a user stay letters."""
        return list(self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

    def words(self, ids: Sequence[int]) -> str:
        """Ids of an answer as text, without what ends it."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _own(self, text: str) -> list[int]:
        if text not in self._fixed:
            self._fixed[text] = self.text(text)
        return self._fixed[text]

    def _clip(self, view: ClipView) -> list[str | tuple[int, int]]:
        """The clip's block: text pieces, and (stream index, count) for slots."""
        return self._laid_out(view) if self._layout else self._ours(view)

    def _laid_out(self, view: ClipView) -> list[str | tuple[int, int]]:
        counts = self._counts(view.tokens)
        pieces: list[str | tuple[int, int]] = []
        for before, name, after in self._layout:
            if name == "words":
                pieces += [f"{before}{view.words[:LONGEST_WORDS]}{after}\n"] if view.words else []
                continue
            if not counts.get(name):
                continue
            index, marks = self._streams[name], view.marks_s.get(name, ())
            pieces.append(before)
            if name in self._marked and len(marks) == counts[name] > 1:
                for mark in marks:
                    pieces += [f" {mark:.1f} s", (index, 1)]
            else:
                pieces.append((index, counts[name]))
            pieces.append(f"{after}\n")
        return [p for p in pieces if p != ""]

    def _ours(self, view: ClipView) -> list[str | tuple[int, int]]:
        counts = self._counts(view.tokens)
        pieces: list[str | tuple[int, int]] = [f"Clip: {'picture' if view.kind == 'image' else f'{view.kind}, {view.duration_s:.0f} s'}.\n"]
        for name, title in (("face", "Face"), ("voice", "Voice")):
            pieces.append(f"{title}:")
            if name not in self._streams or not counts.get(name):
                pieces.append(" none.\n")
                continue
            marks = view.marks_s.get(name, ())
            cues = view.cues.get(name, ())
            for i in range(counts[name]):
                if counts[name] > 1 and i < len(marks):
                    pieces.append(f" {marks[i]:.1f} s")
                pieces.append((self._streams[name], 1))
                if i < len(cues) and cues[i]:
                    pieces.append(f" {', '.join(cues[i])}")
                pieces.append(";" if i + 1 < counts[name] else "")
            if name == "face" and view.persons > 1:
                pieces.append(f" (the most prominent of {view.persons} people)")
            pieces.append(".\n")
            if name == "face" and view.moves:
                told = "; ".join(f"{when:.1f} s {', '.join(what)}" for when, what in view.moves)
                pieces.append(f"Moves: {told}.\n")
        pieces.append(f'Words: "{view.words[:LONGEST_WORDS]}"\n' if view.words else "Words: none.\n")
        for name, title in (("scene", "Scene"), ("fused", "Together")):
            if name in self._streams and counts.get(name):
                pieces += [f"{title}:", (self._streams[name], counts[name]), "\n"]
        return [p for p in pieces if p != ""]
