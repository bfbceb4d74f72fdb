"""One supervised stage on transformers' Trainer: its loop, its checkpoints, its resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from emollm.data.collate import LONGEST, Batches, Collate
from emollm.data.conversation import PromptBuilder
from emollm.data.tasks import Sample
from emollm.model.emotion_model import EmotionModel
from emollm.model.groups import train_only
from emollm.recipe import Stage
from emollm.training.interrupt import Interrupt
from emollm.training.logs import TaskLosses, watchers
from emollm.training.ranks import is_first, processes

SMALL_BUDGET = 16  # clip tokens that fit into a sample of usual length; systems with more get longer samples

Report = Callable[[int, int, float], None]
"""Called with step, steps in all, and loss."""


class _Tell(TrainerCallback):
    def __init__(self, report: Report | None) -> None:
        self._report = report

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if self._report is not None and logs and "loss" in logs and state.is_world_process_zero:
            self._report(state.global_step, state.max_steps, float(logs["loss"]))


class _AdapterTrainer(Trainer):
    """Checkpoints hold adapters only; the language model never changes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # The loss is a mean over a batch already: batches that share a step are averaged, as they are between processes.
        self.model_accepts_loss_kwargs = False
        self._by_task = TaskLosses()

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
        """The model's loss; a batch that shows the stage nothing of what learns in it gives a gradient of zero instead of an error."""
        outputs = model(**inputs)
        loss = outputs.loss
        if model.training:
            self._by_task.add(inputs["tasks"], outputs.row_losses.tolist())
            if not loss.requires_grad:
                loss = loss + 0.0 * sum(p.sum() for p in model.parameters() if p.requires_grad)
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Trainer's own figures, and the loss of every task since the last time."""
        super().log(logs | (self._by_task.take() if "loss" in logs else {}), *args, **kwargs)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        assert isinstance(self.model, EmotionModel)
        self.model.save_pretrained(output_dir or self.args.output_dir)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        target = model or self.model
        assert isinstance(target, EmotionModel)
        target.load_adapters(Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        assert isinstance(self.model, EmotionModel) and self.state.best_model_checkpoint is not None
        self.model.load_adapters(Path(self.state.best_model_checkpoint))


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
    watched: Sequence[Sample] = (),
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
        save_steps: Steps between checkpoints, and between looks at what is watched.
        watched: Samples of other people, never learned from; the stage ends with the weights that are best on them.
        report: Progress.

    Returns:
        What Trainer measured: train_loss, train_runtime and so on.
    """
    longest = longest_for(model)
    budget = max(stage.batch_tokens, longest)
    batches = Batches([*samples], prompts, batch_tokens=budget, seed=seed, longest=longest)
    others = Batches([*watched], prompts, batch_tokens=budget, seed=seed, longest=longest) if watched else None
    widths = model.recipe.widths(model.config.scale)

    def collate(rows: list[tuple[Batches, list[int]]]) -> dict[str, Any]:
        ((source, batch),) = rows
        return Collate(source, model.streams, widths, prompts.end_id)([batch])

    steps = max(1, round(len(batches) * stage.epochs / (processes() * stage.accumulate)))
    last = get_last_checkpoint(str(out)) if resume and out.is_dir() else None
    result = fit(
        model, _Named(batches), collate, stage, steps, out, last=last, seed=seed, save_steps=save_steps,
        watched=_Named(others) if others is not None else None, report=report,
    )  # fmt: skip
    return result | {"tokens": float(batches.tokens), "samples": float(len(batches.kept))}


class _Named(torch.utils.data.Dataset[tuple[Batches, list[int]]]):
    """Batches that say which set they are of, so that one collator serves what is learned and what is watched."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Batches, list[int]]:
        return self._batches, self._batches[index]


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
    watched: torch.utils.data.Dataset[Any] | None = None,
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
        watched: Batches whose loss is looked at with every checkpoint; the best weights are the stage's.
        more: Further callbacks.

    Returns:
        What Trainer measured: train_loss, train_runtime and so on.

    Raises:
        KeyboardInterrupt: A signal asked to end; a checkpoint of the last step is in `out`.
    """
    train_only(model, stage.train)
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=1,  # one item of the data set is a whole batch
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=stage.accumulate,
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
        eval_strategy="steps" if watched is not None else "no",
        eval_steps=save_steps,
        load_best_model_at_end=watched is not None,
        metric_for_best_model="loss",
        greater_is_better=False,
        prediction_loss_only=True,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        seed=seed,
        label_names=["labels"],
        ignore_data_skip=isinstance(data, torch.utils.data.IterableDataset),
        ddp_backend=None if torch.cuda.is_available() or processes() == 1 else "gloo",
        ddp_find_unused_parameters=processes() > 1,  # a batch without a voice leaves its projector alone
        accelerator_config={"dispatch_batches": False},  # each process reads for itself: batches of two lengths cannot be joined
    )
    out.mkdir(parents=True, exist_ok=True)
    interrupt = Interrupt()
    callbacks = [_Tell(report), *(watchers(out) if is_first() else ()), *more, interrupt]
    if watched is not None and stage.patience:
        callbacks.append(EarlyStoppingCallback(stage.patience))
    trainer = _AdapterTrainer(
        model=model, args=arguments, train_dataset=data, eval_dataset=watched, data_collator=collate, callbacks=callbacks
    )
    trainer.remove_callback(PrinterCallback)
    with interrupt:
        result = trainer.train(resume_from_checkpoint=last)
    return {k: float(v) for k, v in result.metrics.items()}
