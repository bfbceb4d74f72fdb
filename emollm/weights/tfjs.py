"""TensorFlow.js files to safetensors: the quantised weights are widened, and a MobileNet's graph is folded into plain convolutions.

A model there is a JSON list of tensors and one file of their bytes, joined in that order. No graph is run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emollm.errors import CheckpointError

_Tensors = dict[str, NDArray[Any]]
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")


def write_tensors(sources: Mapping[str, Path], out: Path) -> None:
    """All tensors under their own names, convolution kernels as torch has them: [C_out, C_in, h, w]."""
    tensors, _ = _read(sources)
    kernels = {"filters": (3, 2, 0, 1), "pointwise_filter": (3, 2, 0, 1), "depthwise_filter": (2, 3, 0, 1), "weights": (1, 0)}
    _save({k: v.transpose(kernels[k.rpartition("/")[2]]) if k.rpartition("/")[2] in kernels else v for k, v in tensors.items()}, out)


def write_mobilenet(sources: Mapping[str, Path], out: Path) -> None:
    """A chain of convolutions up to the global pooling as `layers.N.weight` and `.bias`; scale and shift of each are folded into it."""
    tensors, nodes = _read(sources)
    found: _Tensors = {}
    kernel: NDArray[Any] | None = None
    bias: NDArray[Any] | None = None
    count = 0
    for node in [*_chain(nodes), {"op": "Conv2D", "input": []}]:  # the last one only closes the layer before it
        constant = next((tensors[i] for i in node["input"] if i in tensors), None)
        if node["op"] in _CONVOLUTIONS:
            if kernel is not None:
                found[f"layers.{count}.weight"] = kernel
                found[f"layers.{count}.bias"] = np.zeros(len(kernel), np.float32) if bias is None else bias.reshape(-1)
                count += 1
            if constant is not None:
                kernel = constant.transpose((2, 3, 0, 1) if node["op"].startswith("Depthwise") else (3, 2, 0, 1))
                bias = None
        elif node["op"] in ("Mul", "Add", "AddV2", "BiasAdd") and constant is not None and kernel is not None:
            if node["op"] == "Mul":
                kernel = kernel * constant.reshape(-1, 1, 1, 1)
                bias = None if bias is None else bias * constant.reshape(-1)
            else:
                bias = constant if bias is None else bias + constant
    _save(found, out)


def _read(sources: Mapping[str, Path]) -> tuple[_Tensors, list[dict[str, Any]]]:
    """Tensors by name, and the nodes of the graph if the file has one."""
    (table,) = (p for n, p in sources.items() if n.endswith(".json"))
    (packed,) = (p for n, p in sources.items() if n.endswith(".bin"))
    described, raw = json.loads(table.read_text("utf-8")), packed.read_bytes()
    manifest = described["weightsManifest"] if isinstance(described, dict) else described
    tensors: _Tensors = {}
    at = 0
    for row in manifest[0]["weights"]:
        packing = row.get("quantization", {})
        kind = np.dtype(packing.get("dtype", row["dtype"]))
        count = int(np.prod(row["shape"]))
        values = np.frombuffer(raw, kind, count, at)
        at += count * kind.itemsize
        if "scale" in packing:
            values = values * np.float32(packing["scale"]) + np.float32(packing["min"])
        tensors[row["name"]] = values.reshape(row["shape"]).astype(np.float32 if row["dtype"] == "float32" else np.int64)
    if at != len(raw):
        raise CheckpointError(f"{packed.name} holds {len(raw)} bytes, but {table.name} describes {at}")
    return tensors, described["modelTopology"]["node"] if isinstance(described, dict) else []


def _chain(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Nodes from the picture to the global pooling."""
    after = {source: node for node in reversed(nodes) for source in node.get("input", [])}
    name = next(node["name"] for node in nodes if node["op"] == "Placeholder")
    while name in after and after[name]["op"] != "Mean":
        yield after[name]
        name = after[name]["name"]


def _save(tensors: _Tensors, out: Path) -> None:
    from safetensors.numpy import save_file

    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, out, metadata={"format": "pt"})
