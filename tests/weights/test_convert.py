from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from emollm.errors import CheckpointError
from emollm.weights import Entry
from emollm.weights.convert import convert


def entry(state_key: str = "") -> Entry:
    return Entry("s", ("test",), "CC0-1.0", "nowhere", "0", (), convert="state-dict", outputs=("model.safetensors",), state_key=state_key)


def run(tmp_path: Path, value: object, state_key: str = "") -> dict[str, torch.Tensor]:
    source, out = tmp_path / "s.pth", tmp_path / "out"
    out.mkdir(exist_ok=True)
    torch.save(value, source)
    convert(entry(state_key), {"s.pth": source}, out)
    return load_file(out / "model.safetensors")


def test_state_dict_keeps_keys_and_shared_tensors(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    found = run(tmp_path, {"state": {"a.weight": shared, "b.weight": shared.T}}, "state")
    assert torch.equal(found["a.weight"], shared)
    assert torch.equal(found["b.weight"], shared.T)


class Evil:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.canary,)


def test_pickled_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read as plain tensors"):
        run(tmp_path, {"a": Evil(tmp_path / "canary")})
    assert not (tmp_path / "canary").exists()


def test_other_contents_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not at epoch"):
        run(tmp_path, {"w": torch.zeros(1), "epoch": 3})
    with pytest.raises(CheckpointError, match="no entry 'state'"):
        run(tmp_path, {"w": torch.zeros(1)}, "state")
