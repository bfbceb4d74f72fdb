"""A toy stage that is sent a signal, gone on with, and learned whole, in a process of its own; prints losses."""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from learnable import STAGE, samples

from emollm.build import build
from emollm.training.sft import run_sft

torch.set_num_threads(1)


def learn(out, *, resume=False, then=lambda: None):
    parts = build("emollm", "toy", fresh=True, perception=object())
    losses = {}

    def watch(step, of, loss):
        losses[step] = loss
        if len(losses) == 1:
            then()

    run_sft(parts.model.train(), parts.prompts, samples(), STAGE, out, resume=resume, report=watch)
    return losses


if __name__ == "__main__":
    out, which, ignored = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "ignored"
    usual = signal.SIG_IGN if ignored else signal.default_int_handler
    signal.signal(which, usual)
    stopped, kept, rest, whole = False, [], {}, {}
    try:
        whole = learn(out / "stopped", then=lambda: os.kill(os.getpid(), which))
    except KeyboardInterrupt:
        stopped = True
        kept = [path.name for path in (out / "stopped").glob("checkpoint-*")]
        rest, whole = learn(out / "stopped", resume=True), learn(out / "whole")
    left = signal.getsignal(which) is usual
    sys.stdout.write(
        json.dumps({"stopped": stopped, "kept": kept, "rest": sorted(rest.items()), "whole": sorted(whole.items()), "left": left}) + "\n"
    )
