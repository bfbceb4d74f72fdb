"""A merged Llama to an OpenVINO file, made once and kept in the user's cache folder, and from there to a graph with paged attention.

That graph takes the positions of many sequences in one row and finds each sequence's cache by a table of blocks, so sequences join and
leave at every step. Weights are rounded to 8 bits in groups of 32 numbers, or kept in 16 or 32.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from emollm.engine.llama import FusedLlama, Shape, shape_of

Weights = Literal["int8", "fp16", "fp32"]
EXPORT_VERSION = 2  # of this file's graph: raise it when what is written changes
EXPORT = re.compile(r"[0-9a-f]{16}-(int8|fp16|fp32)-v\d+")
KEPT = 4  # exports
GROUP = 32
MODEL = "model.xml"
WANTED = "wanted"  # input: which positions' logits are asked for


def default_folder() -> Path:
    """Where exports are kept: beside the ready weights."""
    from emollm.weights import default_cache

    return default_cache().parent / "engine"


def exported(causal: Any, weights: Weights, folder: Path | None = None) -> Path:
    """Path of the model's file; written now if it was not before.

    Raises:
        ValueError: If the model is no plain Llama.
        OSError: If the folder cannot be written.
    """
    shape = shape_of(causal)
    home = (folder or default_folder()) / f"{digest_of(causal, shape)}-{weights}-v{EXPORT_VERSION}"
    if (home / MODEL).is_file():
        with suppress(OSError):  # a folder that may only be read
            os.utime(home)
        return home / MODEL
    home.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=home.parent))
    try:
        _save(_graph(causal, shape, weights), draft / MODEL, weights)
        try:
            os.rename(draft, home)
        except OSError:  # another process was faster
            if not (home / MODEL).is_file():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    _sweep(home.parent)
    return home / MODEL


def _sweep(folder: Path) -> None:
    """Delete exports that were not used for longest: every training makes new weights, and nobody would miss the old ones' files."""
    kept = sorted((path for path in folder.iterdir() if EXPORT.fullmatch(path.name)), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in kept[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def digest_of(causal: Any, shape: Shape) -> str:
    """Short identity of the merged weights."""
    import openvino

    digest = hashlib.sha256(f"{shape}{openvino.__version__}".encode())
    for name, weight in sorted(causal.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _save(graph: Any, path: Path, weights: Weights) -> None:
    import openvino as ov

    ov.save_model(graph, path, compress_to_fp16=weights == "fp16")


def paged(path: Path) -> Any:
    """A saved export as the graph that runs: its cache found by tables of blocks, logits only where they are wanted."""
    import openvino as ov
    from openvino._offline_transformations import paged_attention_transformation

    graph = ov.Core().read_model(str(path))
    paged_attention_transformation(graph)  # not before saving: what it notes on its nodes is not saved
    _ask_for_positions(graph)
    graph.validate_nodes_and_infer_types()
    return graph


def _graph(causal: Any, shape: Shape, weights: Weights) -> Any:
    graph = _stateful(causal, shape)
    if weights == "int8":
        _round_to_int8(graph)
    graph.validate_nodes_and_infer_types()
    return graph


def _stateful(causal: Any, shape: Shape) -> Any:
    """The graph with its cache inside, which is the form that the paged transformation knows."""
    import openvino as ov
    from openvino import opset13 as op
    from openvino._offline_transformations import apply_make_stateful_transformation

    batch, past_length, length = 2, 5, 3  # none is 1: a traced 1 can become a constant
    empty = (batch, shape.kv_heads, past_length, shape.head_width)
    past = [(torch.zeros(empty), torch.zeros(empty)) for _ in range(shape.layers)]
    positions = torch.arange(past_length, past_length + length)[None].repeat(batch, 1)
    example = (torch.zeros(batch, length, shape.width), torch.ones(batch, past_length + length, dtype=torch.long), positions, past)
    with torch.no_grad():
        graph = ov.convert_model(FusedLlama(causal, shape).eval(), example_input=example)
    inputs, outputs = graph.inputs, graph.outputs
    named = (("inputs_embeds", [-1, -1, shape.width]), ("attention_mask", [-1, -1]), ("position_ids", [-1, -1]))
    for port, (name, dims) in zip(inputs[:3], named, strict=True):
        port.get_tensor().set_names({name})
        port.get_node().set_friendly_name(name)
        port.get_node().set_partial_shape(ov.PartialShape(dims))
    beam = op.parameter([-1], dtype=np.int32, name="beam_idx")
    beam.output(0).get_tensor().set_names({"beam_idx"})
    graph.add_parameters([beam])
    pairs = {}
    for i, (port, result) in enumerate(zip(inputs[3:], outputs[1:], strict=True)):
        port.get_tensor().set_names({f"past.{i}"})
        result.get_tensor().set_names({f"present.{i}"})
        pairs[f"past.{i}"] = f"present.{i}"
        port.get_node().set_partial_shape(ov.PartialShape([-1, shape.kv_heads, -1, shape.head_width]))
        users = list(port.get_target_inputs())
        chosen = op.gather(port, beam, op.constant(0, dtype=np.int64))  # by this Gather attention and cache are recognised as one
        for user in users:
            user.replace_source_output(chosen.output(0))
    outputs[0].get_tensor().set_names({"logits"})
    graph.validate_nodes_and_infer_types()
    apply_make_stateful_transformation(graph, pairs)
    _start_empty(graph, inputs[0], shape)
    return graph


def _start_empty(graph: Any, embeds: Any, shape: Shape) -> None:
    """Give every cache an empty beginning of the right batch size."""
    from openvino import opset13 as op

    def numbers(*values: int) -> Any:
        return op.constant(list(values), dtype=np.int64)

    batch = op.gather(op.shape_of(embeds, output_type="i64"), numbers(0), op.constant(0, dtype=np.int64))
    for node in graph.get_ops():
        if node.get_type_name() == "ReadValue":
            dims = op.concat([batch, numbers(shape.kv_heads), numbers(0), numbers(shape.head_width)], 0)
            node.set_arguments([op.broadcast(op.constant(0.0, dtype=np.float32), dims).output(0)])
    graph.validate_nodes_and_infer_types()


def _ask_for_positions(graph: Any) -> None:
    """Compute logits of the wanted positions only: the vocabulary is the widest layer."""
    from openvino import opset13 as op

    head = graph.output("logits").get_node()
    while head.get_type_name() != "MatMul":
        head = head.input_value(0).get_node()
    wanted = op.parameter([-1], dtype=np.int32, name=WANTED)
    wanted.output(0).get_tensor().set_names({WANTED})
    graph.add_parameters([wanted])
    hidden = head.input_value(0)  # [positions, 1, D]
    head.input(0).replace_source_output(op.gather(hidden, wanted, op.constant(0, dtype=np.int64)).output(0))


def _round_to_int8(graph: Any) -> None:
    """Matrices to 8 bits with one scale for each group of a row."""
    from openvino import opset13 as op

    for node in graph.get_ops():
        if node.get_type_name() != "MatMul":
            continue
        source = node.input_value(1).get_node()
        if source.get_type_name() != "Constant" or len(source.get_output_shape(0)) != 2:
            continue
        rows, width = source.data.shape
        group = GROUP if width % GROUP == 0 else width
        matrix = source.data.reshape(rows, width // group, group)
        scale = np.maximum(np.abs(matrix).max(2, keepdims=True) / 127, 1e-9)
        rounded = op.convert(op.constant(np.rint(matrix / scale).astype(np.int8)), "f32")
        scaled = op.multiply(rounded, op.constant(scale.astype(np.float32)))
        whole = op.reshape(scaled, op.constant(np.array([rows, width], np.int64)), special_zero=False)
        node.input(1).replace_source_output(whole.output(0))
