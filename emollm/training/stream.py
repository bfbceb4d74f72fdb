"""One supervised stage over an endless draw: a window of samples is made, learnt from and forgotten before the next.

A checkpoint keeps where its window began, so that a stopped stage goes on with the very batch that would have come next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from emollm.data.collate import Batches, Collate
from emollm.data.conversation import PromptBuilder
from emollm.errors import DataError
from emollm.model.emotion_model import EmotionModel
from emollm.recipe import Stage
from emollm.training.lessons import Lessons
from emollm.training.ranks import processes
from emollm.training.sft import Report, fit, longest_for

WINDOW = 2048  # samples that are held at once
PLACE = "mixture.json"


class _Windows(torch.utils.data.IterableDataset[dict[str, Any]]):
    """Batches ready for the model, without end.

    Attributes:
        started: Number of the first batch of each window begun so far, and the state it began in; batches are fetched ahead, so the
            newest window may be one that nothing was learnt from yet.
    """

    def __init__(self, lessons: Lessons, prompts: PromptBuilder, model: EmotionModel, stage: Stage, size: int, seed: int) -> None:
        self._lessons, self._prompts, self._model, self._stage, self._size, self._seed = lessons, prompts, model, stage, size, seed
        self._skip, self.started, self.tokens = 0, list[tuple[int, dict[str, Any]]](), 0
        self._number = 0

    def go_on(self, place: Mapping[str, Any], done: int) -> None:
        """Begin behind `done` batches, in the window a checkpoint kept."""
        self._lessons.load_state(place["state"])
        self._number, self._skip = place["first"], done - place["first"]

    def place(self, done: int) -> dict[str, Any]:
        """The window that the batch after `done` batches is in."""
        first, state = next(one for one in reversed(self.started) if one[0] <= done)
        return {"first": first, "state": state}

    def batches(self) -> Batches:
        """The next window in batches."""
        longest = longest_for(self._model)
        drawn = self._lessons.state()["drawn"]
        samples = self._lessons.window(self._size)
        tokens = max(self._stage.batch_tokens, longest)
        found = Batches(samples, self._prompts, batch_tokens=tokens, seed=self._seed + drawn, longest=longest)
        if not len(found):
            raise DataError(f"all {len(samples)} samples of a window are longer than {longest} positions; nothing can be learnt from them.")
        return found

    def __iter__(self) -> Iterator[dict[str, Any]]:
        widths = self._model.recipe.widths(self._model.config.scale)
        while True:
            self.started.append((self._number, self._lessons.state()))
            batches = self.batches()
            self.tokens += batches.tokens
            collate = Collate(batches, self._model.streams, widths, self._prompts.end_id)
            for i in range(self._skip, len(batches)):
                yield collate([batches[i]])
            self._skip, self._number = 0, self._number + len(batches)


class _KeepPlace(TrainerCallback):
    def __init__(self, windows: _Windows) -> None:
        self._windows = windows

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        home = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and home.is_dir():
            (home / PLACE).write_text(
                json.dumps(self._windows.place(state.global_step * args.world_size * args.gradient_accumulation_steps)), "utf-8"
            )


def run_stream(
    model: EmotionModel,
    prompts: PromptBuilder,
    lessons: Lessons,
    stage: Stage,
    out: Path,
    *,
    resume: bool,
    seed: int = 0,
    window: int = WINDOW,
    save_steps: int = 200,
    report: Report | None = None,
) -> dict[str, Any]:
    """Train one stage.

    Args:
        model: Changed in place.
        prompts: Lays the samples out.
        lessons: What to learn from; steps are counted from its first window.
        stage: Rates, sizes and which parameters learn.
        out: Folder for checkpoints and logs.
        resume: Go on from the last checkpoint in `out`, if there is one.
        seed: Of the order of batches.
        window: Samples that are held at once.
        save_steps: Steps between checkpoints.
        report: Progress.

    Returns:
        What Trainer measured, and the shares that were drawn.

    Raises:
        DataError: If a checkpoint is of other files, seed or mixture.
    """
    size = min(window, lessons.count)
    windows = _Windows(lessons, prompts, model, stage, size, seed)
    start = lessons.state()
    steps = max(1, round(len(windows.batches()) * lessons.count / size * stage.epochs / (processes() * stage.accumulate)))
    lessons.load_state(start)
    last = get_last_checkpoint(str(out)) if resume and out.is_dir() else None
    if last is not None:
        at = json.loads((Path(last) / "trainer_state.json").read_text("utf-8"))["global_step"]
        windows.go_on(json.loads((Path(last) / PLACE).read_text("utf-8")), at * processes() * stage.accumulate)
    result = fit(
        model, windows, _first, stage, steps, out, last=last, seed=seed, save_steps=save_steps, report=report, more=(_KeepPlace(windows),)
    )
    first, state = windows.started[-1]
    if first >= steps * processes() * stage.accumulate:
        lessons.load_state(state)  # the window fetched ahead taught nothing
    mixture = lessons.mixture
    shares = {name: round(share, 4) for name, share in mixture.realised().items()}
    kinds = {f"{name}: {kind}": round(share, 4) for (name, kind), share in mixture.realised_kinds().items()}
    return result | {"tokens": float(windows.tokens), "drawn": float(mixture.drawn), "realised": shares, "realised_kinds": kinds}


def _first(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return rows[0]
