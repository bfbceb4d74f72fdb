"""TensorFlow.js files become plain tensors, and a chain of convolutions with scale and shift becomes convolutions alone."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from emollm.errors import CheckpointError
from emollm.weights.tfjs import write_mobilenet, write_tensors

RNG = np.random.default_rng(0)


def packed(tmp_path, tensors, nodes=None):
    rows, raw = [], b""
    for name, values in tensors.items():
        if values.dtype == np.uint8:
            rows.append(
                {"name": name, "shape": values.shape, "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -3.0}}
            )
        else:
            rows.append({"name": name, "shape": values.shape, "dtype": "float32"})
        raw += values.tobytes()
    manifest = [{"weights": rows, "paths": ["x.bin"]}]
    described = manifest if nodes is None else {"modelTopology": {"node": nodes}, "weightsManifest": manifest}
    (tmp_path / "x.json").write_text(json.dumps(described))
    (tmp_path / "x.bin").write_bytes(raw)
    return {"x.json": tmp_path / "x.json", "x.bin": tmp_path / "x.bin"}


def test_quantised_numbers_are_widened_and_kernels_turned(tmp_path):
    kernel = RNG.integers(0, 255, (3, 3, 2, 4)).astype(np.uint8)
    write_tensors(packed(tmp_path, {"a/filters": kernel, "a/bias": np.ones(4, np.float32)}), tmp_path / "out.safetensors")
    found = load_file(tmp_path / "out.safetensors")
    assert found["a/filters"].shape == (4, 2, 3, 3)
    assert found["a/filters"][1, 0, 2, 0] == kernel[2, 0, 0, 1] * 0.5 - 3.0


def test_scale_and_shift_are_folded_into_the_convolution(tmp_path):
    kernel, deep = RNG.normal(size=(1, 1, 3, 4)).astype(np.float32), RNG.normal(size=(1, 1, 4, 1)).astype(np.float32)
    scale, shift = RNG.normal(size=4).astype(np.float32), RNG.normal(size=4).astype(np.float32)
    nodes = [
        {"name": "in", "op": "Placeholder"},
        {"name": "c1", "op": "Conv2D", "input": ["in", "k"]},
        {"name": "a1", "op": "Add", "input": ["c1", "shift"]},
        {"name": "r1", "op": "Relu6", "input": ["a1"]},
        {"name": "c2", "op": "DepthwiseConv2dNative", "input": ["r1", "d"]},
        {"name": "m2", "op": "Mul", "input": ["c2", "scale"]},
        {"name": "a2", "op": "Add", "input": ["m2", "shift"]},
        {"name": "pool", "op": "Mean", "input": ["a2"]},
    ]
    write_mobilenet(packed(tmp_path, {"k": kernel, "d": deep, "scale": scale, "shift": shift}, nodes), tmp_path / "out.safetensors")
    found = load_file(tmp_path / "out.safetensors")
    x = torch.randn(1, 3, 2, 2)
    hidden = torch.nn.functional.conv2d(x, found["layers.0.weight"], found["layers.0.bias"])
    wanted = torch.einsum("bchw,co->bohw", x, torch.tensor(kernel[0, 0])) + torch.tensor(shift)[None, :, None, None]
    assert torch.allclose(hidden, wanted, atol=1e-5)
    after = torch.nn.functional.conv2d(hidden, found["layers.1.weight"], found["layers.1.bias"], groups=4)
    wanted = hidden * torch.tensor(deep[0, 0, :, 0] * scale)[None, :, None, None] + torch.tensor(shift)[None, :, None, None]
    assert torch.allclose(after, wanted, atol=1e-5) and set(found) == {f"layers.{i}.{p}" for i in (0, 1) for p in ("weight", "bias")}


def test_a_file_of_another_length_is_refused(tmp_path):
    sources = packed(tmp_path, {"a/bias": np.ones(4, np.float32)})
    sources["x.bin"].write_bytes(b"0" * 20)
    with pytest.raises(CheckpointError, match="describes 16"):
        write_tensors(sources, tmp_path / "out.safetensors")
