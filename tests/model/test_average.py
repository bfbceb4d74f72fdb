"""The mean of adapters: every weight between those it is of, in a folder that loads."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from emollm.build import build
from emollm.errors import CheckpointError
from emollm.model.average import LORA, average
from emollm.model.emotion_model import ADAPTERS


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two toys that differ in every trained weight."""
    folder = tmp_path_factory.mktemp("pair")
    model = build("emollm", "toy", fresh=True, perception=object()).model
    for name, change in (("one", 0.0), ("two", 1.0)):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(change)
        model.save_pretrained(folder / name)
    return folder / "one", folder / "two"


@pytest.mark.parametrize(("shares", "moved"), [((), 0.5), ((1.0, 3.0), 0.75), ((2.0, 0.0), 0.0)])
def test_the_mean_lies_between(pair, tmp_path, shares, moved):
    average(pair, tmp_path / "mean", shares)
    for file in (ADAPTERS, LORA):
        before, after = load_file(pair[0] / file), load_file(tmp_path / "mean" / file)
        assert before.keys() == after.keys() and len(after) > 4
        for name, tensor in after.items():
            assert tensor.dtype == before[name].dtype
            assert torch.allclose(tensor.float(), before[name].float() + moved, atol=0.02), name  # kept in bfloat16


def test_the_mean_can_be_used(pair, tmp_path):
    average(pair, tmp_path / "mean")
    parts = build("emollm", "toy", adapters=tmp_path / "mean", perception=object())
    lora = next(v for k, v in parts.model.llm.state_dict().items() if "lora_B" in k)
    assert torch.allclose(lora, torch.full_like(lora, 0.5), atol=0.01)  # it began as nothing


def test_what_does_not_fit_is_refused(pair, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(pair[0], other)
    shutil.copyfile(pair[0] / LORA, other / ADAPTERS)
    for folders, shares, told in (
        (pair[:1], (), "at least two"),
        (pair, (1.0,), "as many shares"),
        (pair, (1.0, -1.0), "as many shares"),
        ((pair[0], tmp_path / "nowhere"), (), "missing"),
        ((pair[0], other), (), "other systems"),
    ):
        with pytest.raises(CheckpointError, match=told):
            average(folders, tmp_path / "mean", shares)
    bare = tmp_path / "bare"
    shutil.copytree(pair[0], bare, ignore=shutil.ignore_patterns("lora"))
    for folders in ((bare, pair[1]), (pair[0], bare)):
        with pytest.raises(CheckpointError, match="missing"):
            average(folders, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
    with pytest.raises(CheckpointError, match="not empty"):
        average(pair, other)
