"""One stage: what it logs, when it stops, and that several processes or batches a step come to the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from learnable import STAGE, samples
from safetensors.torch import load_file

from emollm.build import build
from emollm.training.logs import TaskLosses
from emollm.training.sft import run_sft

HERE = Path(__file__).parent


def rows_of(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]


def learn(out, *, stage=STAGE, watched=(), **more):
    parts = build("emollm", "toy", fresh=True, perception=object())
    measured = run_sft(parts.model.train(), parts.prompts, samples(), stage, out, resume=False, watched=watched, **more)
    return parts, measured


def test_losses_by_task_by_hand():
    losses = TaskLosses()
    losses.add(["a", "b", "a"], [1.0, 4.0, 2.0])
    losses.add(["a", ""], [3.0, 7.0])
    assert losses.take() == {"loss/a": 2.0, "loss/b": 4.0, "loss/other": 7.0}
    assert losses.take() == {}


def test_a_stage_logs_every_task_as_numbers_and_as_curves(tmp_path):
    learn(tmp_path, stage=STAGE.model_copy(update={"epochs": 8}))
    logged = [r for r in rows_of(tmp_path) if "loss" in r]
    assert logged and all({"loss/one", "loss/other", "learning_rate", "grad_norm", "seconds"} <= set(r) for r in logged)
    assert all(isinstance(r["loss"], float) for r in logged) and [r["step"] for r in logged] == sorted(r["step"] for r in logged)
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = EventAccumulator(str(tmp_path / "tensorboard"))
    curves.Reload()
    assert [round(e.value, 4) for e in curves.Scalars("train/loss/one")] == [r["loss/one"] for r in logged]


def test_rows_are_told_apart_in_the_model():
    parts = build("emollm", "toy", fresh=True, perception=object())
    from emollm.data.collate import Batches, Collate

    batches = Batches(samples(4), parts.prompts, batch_tokens=4000, seed=0)
    collate = Collate(batches, parts.model.streams, parts.model.recipe.widths("toy"), parts.prompts.end_id)
    out = parts.model.eval()(**collate([batches[0]]))
    alone = torch.stack([parts.model(**collate([[i]])).loss for i in batches[0]])
    assert out.row_losses.shape == (4,) and torch.allclose(out.row_losses, alone, atol=1e-4)


def test_a_stage_ends_with_the_weights_that_are_best_on_others(tmp_path):
    stage = STAGE.model_copy(update={"epochs": 60, "patience": 2})
    # The others have the two words exchanged: the more is learned, the worse they fare.
    parts, _ = learn(tmp_path, stage=stage, watched=samples(8, wrong=True), save_steps=5)
    looks = [r for r in rows_of(tmp_path) if "eval_loss" in r]
    best = min(looks, key=lambda r: r["eval_loss"])
    assert looks[-1]["step"] == best["step"] + 2 * 5 < looks[-1]["of"]  # two looks without a better one, and it stopped early
    kept = load_file(tmp_path / f"checkpoint-{best['step']}" / "adapters.safetensors")
    held = {k: v.to(torch.bfloat16) for k, v in parts.model.state_dict().items() if k in kept}
    assert len(held) == len(kept) and all(torch.equal(held[k], kept[k]) for k in kept)


def test_two_processes_learn_what_one_learns_with_two_batches_a_step(tmp_path):
    script, one, two = HERE / "ranks_script.py", tmp_path / "one", tmp_path / "two"
    alone = [sys.executable, str(script), str(one), "2"]
    paired = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script), str(two), "1"]
    for command in (alone, paired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=HERE, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    ours, theirs = (json.loads((out / "losses.json").read_text("utf-8")) for out in (one, two))
    assert len(ours) > 2 and [s for s, _ in ours] == [s for s, _ in theirs]
    # A rank logs the mean over all ranks; bfloat16 and the order of sums leave small differences.
    assert [v for _, v in theirs] == pytest.approx([v for _, v in ours], rel=0.01)
    a, b = (load_file(out / "adapters" / "adapters.safetensors") for out in (one, two))
    moved = torch.cat([v.float().flatten() for v in a.values()])
    apart = torch.cat([(a[k].float() - b[k].float()).flatten() for k in a])
    assert apart.norm() < 0.01 * moved.norm()


def test_of_two_answers_the_better_one_becomes_likelier(tmp_path):
    from dataclasses import replace

    from emollm.data.collate import Batches, Collate

    pairs = [replace(s, worse="nothing of the kind") for s in samples(8)]
    parts = build("emollm", "toy", fresh=True, perception=object())
    batches = Batches(pairs, parts.prompts, batch_tokens=4000, seed=0)
    collate = Collate(batches, parts.model.streams, parts.model.recipe.widths("toy"), parts.prompts.end_id)
    inputs = collate([batches[0]])
    count = len(batches[0])
    assert len(inputs["input_ids"]) == 2 * count and inputs["better"].tolist() == list(range(count)) and len(inputs["tasks"]) == count
    plain = Batches(samples(8), parts.prompts, batch_tokens=4000, seed=0)
    assert batches.tokens == 2 * plain.tokens

    def margin(model):
        del inputs["better"], inputs["tasks"]
        with torch.inference_mode():
            losses = model.eval()(**inputs).row_losses
        return float((losses[count:] - losses[:count]).mean())

    before = margin(parts.model)
    run_sft(parts.model.train(), parts.prompts, pairs, STAGE, tmp_path, resume=False)
    inputs = collate([batches[0]])
    assert margin(parts.model) > before + 1
