"""Ctrl-C or a stop of the process ends training after the step at hand and keeps a checkpoint, so that --resume repeats nothing."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emollm.training.ranks import processes

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt(TrainerCallback):
    """Use as a context around `Trainer.train`; leaving it raises KeyboardInterrupt if a signal came. A second signal ends at once.

    It does nothing outside the main thread, where Python allows no handlers, for a signal that is ignored (nohup), and where several
    processes learn together, for they could not agree on the last step.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self.came = False

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread() and processes() == 1:
            heeded = [one for one in SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
            self._before = {one: signal.signal(one, self._take) for one in heeded}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._restore()
        if self.came and kind is None:
            raise KeyboardInterrupt

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Save and stop if a signal came."""
        if self.came:
            control.should_save = control.should_training_stop = True

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        self._restore()

    def _restore(self) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)
        self._before = {}
