"""Training on unified samples at toy scale: it runs through a recipe's stages, and what was stopped goes on with the next batch."""

import json
import sys
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from paths import SAMPLES

from emollm import weights
from emollm.build import build
from emollm.data.mixture_spec import load_spec
from emollm.data.unified_corpus import UnifiedCorpus
from emollm.data.unified_mixture import UnifiedMixture
from emollm.errors import DataError, RecipeError
from emollm.recipe import Stage, load_recipe
from emollm.training import stream
from emollm.training.lessons import Lessons
from emollm.training.run import train

sys.path.append(str(Path(__file__).parents[1] / "data"))
from unified_rows import row, write

needs_faces = pytest.mark.skipif(not weights.ready("mediapipe-face"), reason="needs `emollm weights pull mediapipe-face`")
STAGE = Stage(name="s", method="sft", train=("llm.*lora*", "projectors.*"), learning_rate=5e-3, epochs=1)
MIX = """
kind = "unified"
about = "lines"
source = "test"
samples = 200
[[sources]]
corpora = ["lines"]
asks = { emotion = 2, empathy-chain = 1 }
"""


def lines(folder):
    rows = [row("lines", i, ["emotion", "empathy-chain"], media={}) for i in range(40)]
    (folder / "mix.toml").write_text(MIX, "utf-8")
    return write(folder / "lines.jsonl", rows)


class Spy(stream.Collate):
    """Remembers what was learnt from."""

    batches: ClassVar[list] = []

    def __call__(self, rows):
        made = super().__call__(rows)
        Spy.batches.append(made["input_ids"])
        return made


def run(folder, out, monkeypatch, *, resume=False, stop_at=None):
    monkeypatch.setattr(stream, "Collate", Spy)
    Spy.batches = []
    parts = build("emollm", "toy", fresh=True, perception=object())
    mixture = UnifiedMixture(str(folder / "mix.toml"), [folder / "lines.jsonl"])
    lessons = Lessons(mixture, UnifiedCorpus(folder), parts.recipe)
    for module in parts.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # its chance is the library's to restore

    def watch(step, of, loss):
        if stop_at is not None and step >= stop_at:
            raise KeyboardInterrupt

    measured = stream.run_stream(
        parts.model.train(), parts.prompts, lessons, STAGE, out, resume=resume, window=50, save_steps=4, report=watch
    )
    return parts, measured


def test_a_stopped_stage_goes_on_with_the_very_next_batch(tmp_path, monkeypatch):
    lines(tmp_path)
    whole, measured = run(tmp_path, tmp_path / "whole", monkeypatch)
    every = Spy.batches
    assert len(every) > 14 and measured["drawn"] == 200 and measured["realised"] == {"lines": 1.0}
    assert measured["realised_kinds"]["lines: emotion"] == pytest.approx(2 / 3, abs=0.01)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, tmp_path / "cut", monkeypatch, stop_at=10)
    checkpoints = sorted((tmp_path / "cut").glob("checkpoint-*"))
    place = json.loads((checkpoints[-1] / stream.PLACE).read_text("utf-8"))
    assert checkpoints[-1].name == "checkpoint-8" and 0 < place["first"] <= 8, "stopped inside a later window"
    rest, _ = run(tmp_path, tmp_path / "cut", monkeypatch, resume=True)
    assert Spy.batches and all(torch.equal(a, b) for a, b in zip(Spy.batches, every[8:], strict=False))
    assert len(Spy.batches) in (len(every) - 8, len(every) - 7)
    one, two = whole.model.state_dict(), rest.model.state_dict()
    for name in (n for n in one if "lora" in n or "projector" in n):
        torch.testing.assert_close(one[name], two[name], atol=2e-3, rtol=0.05)
    with pytest.raises(DataError, match="of another files"):
        write(tmp_path / "lines.jsonl", [row("lines", i, ["emotion", "empathy-chain"], media={}) for i in range(41)])
        run(tmp_path, tmp_path / "cut", monkeypatch, resume=True)


def tiny(folder):
    """Three samples of every corpus of P2E over the two shipped clips."""
    rows = []
    for name in ("p2e-1a", "p2e-1b", "p2e-2", "p2e-3"):
        for source in load_spec(name).sources:
            kinds = list(load_spec(name).asked(source))
            media = {"audio": "sample_joy.mp4"} if "picture" not in source.inputs else {"video": "sample_sad.mp4"}
            rows += [row(source.corpora[0], i, kinds, media=media, id=f"{name}/{source.corpora[0]}/{i}") for i in range(3)]
    return write(folder / "tiny.jsonl", rows)


@needs_faces
def test_a_published_system_learns_from_its_own_mixtures(tmp_path):
    said = []
    options = {"samples": [tiny(tmp_path)], "media": SAMPLES, "shrink": 1e-4, "workers": 1}
    train("nano-emox", "toy", None, tmp_path / "out", **options, say=lambda what, share, detail: said.append((what, detail)))
    for number, (name, drawn) in enumerate((("speech", 4), ("face", 8), ("fusion", 2), ("multitask", 90))):
        done = json.loads((tmp_path / "out" / f"{number}-{name}" / "done.json").read_text("utf-8"))
        assert done["drawn"] >= drawn and 0 < done["train_loss"] < 20 and sum(done["realised"].values()) == pytest.approx(1, abs=1e-3)
    assert done["realised"]["mer-caption"] == pytest.approx(0.55, abs=0.01)
    assert ("encoding faces and voices", "1 of 1 shards") in said
    assert any(what == "multitask" and detail.startswith("drew mer-caption 55") for what, detail in said)
    assert (tmp_path / "out" / "trained" / "adapters.safetensors").is_file()
    before = len(said)
    train("nano-emox", "toy", None, tmp_path / "out", **options, resume=True, say=lambda what, share, detail: said.append((what, detail)))
    assert not [what for what, _ in said[before:] if what in ("speech", "face", "fusion", "multitask")], "all stages were done"


@needs_faces
def test_one_mixture_for_all_stages_of_ours(tmp_path):
    rows = [row("mine", i, ["emotion", "empathy"], media={"video": f"sample_{'joy' if i % 2 else 'sad'}.mp4"}) for i in range(8)]
    file = write(tmp_path / "mine.jsonl", rows)
    said = []
    train(
        "emollm", "toy", None, tmp_path / "out", samples=[file], media=SAMPLES, mixture="open", shrink=1e-3, workers=1,
        say=lambda what, share, detail: said.append(detail),
    )  # fmt: skip
    assert [d for d in said if d.startswith("open: reasons is not there")]
    done = json.loads((tmp_path / "out" / "1-perception" / "done.json").read_text("utf-8"))
    assert done["realised"] == {"labels": pytest.approx(0.68, abs=0.05), "replies": pytest.approx(0.32, abs=0.05)}


def test_what_cannot_be_trained_is_told(tmp_path):
    file = lines(tmp_path)
    with pytest.raises(DataError, match="give either a folder"):
        train("emollm", "toy", None, tmp_path)
    with pytest.raises(DataError, match="give the folder those begin in with --media"):
        train("nano-emox", "toy", None, tmp_path / "out", samples=[file])
    with pytest.raises(
        RecipeError, match="the stages perception, conversation, agreement, words, company, practice, plain name no unified"
    ):
        train("emollm", "toy", None, tmp_path / "out", samples=[file], media=tmp_path)
    with pytest.raises(DataError, match=r"misses 2 corpora in .*m3ed; make it with `emollm data build m3ed"):
        train("nano-emox", "toy", None, tmp_path / "out", samples=[file], media=tmp_path, only="speech")
    leaking = write(tmp_path / "leak.jsonl", [row("emer", i, ["reason"], media={}) for i in range(3)])
    with pytest.raises(DataError, match=r"open learns from what emer measures"):
        train("nano-emox", "toy", None, tmp_path / "out", samples=[leaking], media=tmp_path, mixture="open")


def test_unified_mixtures_stand_beside_the_others():
    for name in ("nano-emox", "emotion-llama-v2", "favchat", "facetrack-mm"):
        for stage in load_recipe(name).stages:
            assert stage.data and load_spec(stage.unified).samples
