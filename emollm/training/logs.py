"""What a stage writes down while it learns: losses of every task, rate and speed, as JSON lines and for TensorBoard."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

LOG = "log.jsonl"
CURVES = "tensorboard"


class TaskLosses:
    """Mean loss of each task since it was last asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def add(self, tasks: Sequence[str], losses: Sequence[float]) -> None:
        """One batch: the task and the loss of each row."""
        for task, loss in zip(tasks, losses, strict=True):
            entry = self._sums[task or "other"]
            entry[0] += loss
            entry[1] += 1

    def take(self) -> dict[str, float]:
        """`loss/TASK` to its mean; counting begins anew."""
        found = {f"loss/{task}": round(total / count, 4) for task, (total, count) in sorted(self._sums.items())}
        self._sums.clear()
        return found


class JsonLog(TrainerCallback):
    """One JSON object for each logged step, appended, so that a resumed stage goes on in the same file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG
        self._since = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Write what Trainer tells, values as numbers."""
        if not logs or not state.is_world_process_zero:
            return
        row = {"step": state.global_step, "of": state.max_steps, "seconds": round(time.monotonic() - self._since, 1)}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row | {k: _number(v) for k, v in logs.items()}) + "\n")


def watchers(folder: Path) -> list[TrainerCallback]:
    """The callbacks of a stage: always the JSON log, and TensorBoard's curves where it is installed."""
    found: list[TrainerCallback] = [JsonLog(folder)]
    if find_spec("tensorboard") is not None:
        from torch.utils.tensorboard import SummaryWriter
        from transformers.integrations.integration_utils import TensorBoardCallback

        found.append(TensorBoardCallback(SummaryWriter(str(folder / CURVES))))
    return found


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value
