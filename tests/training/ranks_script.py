"""What every rank of the test of two ranks runs: a toy stage over samples that are the same everywhere."""

import json
import sys
from pathlib import Path

import torch
from learnable import STAGE, samples

from emollm.build import build
from emollm.training.ranks import is_first
from emollm.training.sft import run_sft

torch.set_num_threads(1)
out = Path(sys.argv[1])
stage = STAGE.model_copy(update={"accumulate": int(sys.argv[2]), "epochs": 20, "learning_rate": 1e-3})
parts = build("emollm", "toy", fresh=True, perception=object())
torch.manual_seed(0)
run_sft(parts.model.train(), parts.prompts, samples(), stage, out, resume=False, save_steps=1000)
if is_first():
    parts.model.save_pretrained(out / "adapters")
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]
    (out / "losses.json").write_text(json.dumps([[r["step"], r["loss"]] for r in rows if "loss" in r]), "utf-8")
