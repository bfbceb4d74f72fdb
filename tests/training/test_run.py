"""The whole curriculum at toy scale on a tiny folder: it learns, it can be stopped and goes on to the same losses."""

import json
import re

import pytest
import tiny_data
from learnable import STAGE, samples

from emollm import weights
from emollm.build import build
from emollm.errors import RecipeError
from emollm.recipe import load_recipe
from emollm.training.run import planned, train
from emollm.training.sft import run_sft


def run(out, *, resume=False, stop_at=None):
    parts = build("emollm", "toy", fresh=True, perception=object())
    losses = {}

    def watch(step, of, loss):
        losses[step] = loss
        if stop_at is not None and step >= stop_at:
            raise KeyboardInterrupt

    measured = run_sft(parts.model.train(), parts.prompts, samples(), STAGE, out, resume=resume, save_steps=10, report=watch)
    return parts, losses, measured


def test_a_stage_learns_from_the_tokens(tmp_path):
    _, losses, measured = run(tmp_path)
    steps = sorted(losses)
    assert losses[steps[-1]] < losses[steps[0]] - 0.5
    assert measured["samples"] == 24


def test_interrupted_and_resumed_gives_the_same_losses(tmp_path):
    _, whole, _ = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop_at=20)
    _, rest, _ = run(tmp_path / "cut", resume=True)
    assert min(rest) > 10  # it went on from a checkpoint, not from the start
    for step, loss in rest.items():
        assert loss == pytest.approx(whole[step], rel=0.05, abs=0.02)


@pytest.mark.skipif(not weights.ready("mediapipe-face"), reason="needs `emollm weights pull mediapipe-face`")
def test_the_whole_curriculum(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    data = tiny_data.build(folder)
    mixture = tmp_path / "mix.toml"
    mixture.write_text('[[sources]]\ntask = "recognise"\ncorpora = ["pics"]\ncount = 8\n', "utf-8")
    from emollm import catalog

    text = (catalog.folder("adapters") / "emollm.toml").read_text("utf-8")
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(re.sub(r'data = "\w+"', f'data = "{mixture}"', text), "utf-8")
    said = []
    out = train(str(recipe), "toy", data, tmp_path / "out", workers=1, say=lambda what, share, detail: said.append(what))
    assert (out / "adapters.safetensors").is_file() and (out / "lora" / "adapter_model.safetensors").is_file()
    assert set(said) >= {"encoding faces and voices", "anchor"}
    done = json.loads((tmp_path / "out" / "1-perception" / "done.json").read_text("utf-8"))
    assert done["stage"] == "perception" and done["samples"] == 8
    with pytest.raises(RecipeError, match="unknown stage 'dance'"):
        train(str(recipe), "toy", data, tmp_path / "out", only="dance")


def test_one_mixture_and_so_many_passes_for_all_supervised_stages():
    stages = load_recipe("emollm").stages
    assert planned(stages, None, None) == tuple(stages)
    equal = planned(stages, "compare", 2.0)
    assert [s.name for s in equal] == [s.name for s in stages]
    taught = [s for s in equal if s.method == "sft"]
    assert {s.data for s in taught} == {"compare"} and sum(s.epochs for s in taught) == pytest.approx(2.0)
    assert [s for s in equal if s.method != "sft"] == [s for s in stages if s.method != "sft"]
