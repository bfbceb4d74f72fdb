"""One supervised stage on transformers' Trainer: its loop, its checkpoints, its resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from emollm.data.collate import LONGEST, Batches, Collate
from emollm.data.conversation import PromptBuilder
from emollm.data.tasks import Sample
from emollm.model.emotion_model import EmotionModel
from emollm.model.groups import train_only
from emollm.recipe import Stage

SMALL_BUDGET = 16  # clip tokens that fit into a sample of usual length; systems with more get longer samples

Report = Callable[[int, int, float], None]
"""Called with step, steps in all, and loss."""


class _Tell(TrainerCallback):
    def __init__(self, report: Report | None) -> None:
        self._report = report

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if self._report is not None and logs and "loss" in logs:
            self._report(state.global_step, state.max_steps, logs["loss"])


class _AdapterTrainer(Trainer):
    """Checkpoints hold adapters only; the language model never changes."""

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The model's loss; a batch that shows the stage nothing of what learns in it gives a gradient of zero instead of an error."""
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        if isinstance(loss, torch.Tensor) and model.training and not loss.requires_grad:
            loss = loss + 0.0 * sum(p.sum() for p in model.parameters() if p.requires_grad)
        return loss

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        assert isinstance(self.model, EmotionModel)
        self.model.save_pretrained(output_dir or self.args.output_dir)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        target = model or self.model
        assert isinstance(target, EmotionModel)
        target.load_adapters(Path(resume_from_checkpoint))


def run_sft(
    model: EmotionModel,
    prompts: PromptBuilder,
    samples: Sequence[Sample],
    stage: Stage,
    out: Path,
    *,
    resume: bool,
    seed: int = 0,
    save_steps: int = 200,
    report: Report | None = None,
) -> dict[str, float]:
    """Train one stage.

    Args:
        model: Changed in place.
        prompts: Lays the samples out.
        samples: What to learn from.
        stage: Rates, sizes and which parameters learn.
        out: Folder for checkpoints and logs.
        resume: Go on from the last checkpoint in `out`, if there is one.
        seed: Of the order of batches.
        save_steps: Steps between checkpoints.
        report: Progress.

    Returns:
        What Trainer measured: train_loss, train_runtime and so on.
    """
    longest = longest_for(model)
    batches = Batches(samples, prompts, batch_tokens=max(stage.batch_tokens, longest), seed=seed, longest=longest)
    collate = Collate(batches, model.streams, model.recipe.widths(model.config.scale), prompts.end_id)
    steps = max(1, round(len(batches) * stage.epochs))
    last = get_last_checkpoint(str(out)) if resume and out.is_dir() else None
    result = fit(model, batches, collate, stage, steps, out, last=last, seed=seed, save_steps=save_steps, report=report)
    return result | {"tokens": float(batches.tokens), "samples": float(len(batches.kept))}


def longest_for(model: EmotionModel) -> int:
    """Positions of the longest sample a system learns from."""
    budget = sum(s.projector.tokens for s in model.recipe.streams if s.projector is not None)
    return LONGEST + max(0, budget - SMALL_BUDGET)


def fit(
    model: EmotionModel,
    data: torch.utils.data.Dataset[Any],
    collate: Callable[[list[Any]], dict[str, Any]],
    stage: Stage,
    steps: int,
    out: Path,
    *,
    last: str | None,
    seed: int,
    save_steps: int,
    report: Report | None,
    more: Sequence[TrainerCallback] = (),
) -> dict[str, float]:
    """Trainer's loop over batches.

    Args:
        model: Changed in place.
        data: Its items are whole batches; one without a length begins by itself where `last` stopped.
        collate: One item to model inputs.
        stage: Rates, and which parameters learn.
        steps: In all.
        out: Folder for checkpoints and logs.
        last: Checkpoint to go on from.
        seed: Of everything random.
        save_steps: Steps between checkpoints.
        report: Progress.
        more: Further callbacks.

    Returns:
        What Trainer measured: train_loss, train_runtime and so on.
    """
    train_only(model, stage.train)
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=1,  # one item of the data set is a whole batch
        learning_rate=stage.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(steps * stage.warmup),
        max_grad_norm=1.0,
        weight_decay=0.01,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=10,
        save_steps=save_steps,
        save_total_limit=2,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        seed=seed,
        label_names=["labels"],
        ignore_data_skip=isinstance(data, torch.utils.data.IterableDataset),
        accelerator_config={"dispatch_batches": False},  # each process reads for itself: batches of two lengths cannot be joined
    )
    callbacks = [_Tell(report), *more]
    trainer = _AdapterTrainer(model=model, args=arguments, train_dataset=data, data_collator=collate, callbacks=callbacks)
    result = trainer.train(resume_from_checkpoint=last)
    return {k: float(v) for k, v in result.metrics.items()}
