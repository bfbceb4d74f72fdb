from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emollm.errors import CheckpointError
from emollm.weights import whisper

D, MELS, VOCABULARY = 4, 3, 5


def variables() -> dict[str, np.ndarray[Any, Any]]:
    """A one-layer Whisper in CTranslate2's naming; every number is distinct, so a wrong slice shows."""
    counter = iter(range(1, 10_000))

    def fresh(*shape: int) -> np.ndarray[Any, Any]:
        return np.array([next(counter) for _ in range(int(np.prod(shape)))], np.float16).reshape(shape)

    found: dict[str, np.ndarray[Any, Any]] = {
        "encoder/conv1/weight": fresh(D, MELS, 3),
        "encoder/conv1/bias": fresh(D),
        "encoder/conv2/weight": fresh(D, D, 3),
        "encoder/conv2/bias": fresh(D),
        "decoder/embeddings/weight": fresh(VOCABULARY, D),
        "decoder/scale_embeddings": np.array(0, np.int8),
        "decoder/pre_norm": np.array(1, np.int8),
    }
    for side in ("encoder", "decoder"):
        found[f"{side}/num_heads"] = np.array(2, np.int16)
        found[f"{side}/position_encodings/encodings"] = fresh(6, D)
        layer = f"{side}/layer_0"
        norms = [f"{side}/layer_norm", f"{layer}/self_attention/layer_norm", f"{layer}/ffn/layer_norm"]
        shapes = {"self_attention/linear_0": (3 * D, D), "self_attention/linear_1": (D, D), "ffn/linear_0": (8, D), "ffn/linear_1": (D, 8)}
        if side == "decoder":
            norms.append(f"{layer}/attention/layer_norm")
            shapes |= {"attention/linear_0": (D, D), "attention/linear_1": (2 * D, D), "attention/linear_2": (D, D)}
        for norm in norms:
            found[f"{norm}/gamma"], found[f"{norm}/beta"] = fresh(D), fresh(D)
        for name, shape in shapes.items():
            found[f"{layer}/{name}/weight"], found[f"{layer}/{name}/bias"] = fresh(*shape), fresh(shape[0])
        found[f"{layer}/self_attention/linear_0/bias"][D : 2 * D] = 0  # the key has no bias
    found["decoder/layer_0/attention/linear_1/bias"][:D] = 0
    return found


def write(path: Path, found: dict[str, np.ndarray[Any, Any]], spec: str = "WhisperSpec") -> Path:
    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    kinds = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
    out = struct.pack("<I", 6) + text(spec) + struct.pack("<II", 3, len(found))
    for name, value in found.items():
        out += text(name) + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        out += struct.pack("<BI", kinds[value.dtype.name], value.nbytes) + value.tobytes()
    path.write_bytes(out + struct.pack("<I", 0))
    return path


def test_fused_matrices_are_cut_in_query_key_value_order() -> None:
    source = variables()
    out = whisper.rename(source)
    for side in ("encoder", "decoder"):
        fused = source[f"{side}/layer_0/self_attention/linear_0/weight"]
        for i, letter in enumerate("qkv"):
            assert np.array_equal(out[f"model.{side}.layers.0.self_attn.{letter}_proj.weight"], fused[i * D : (i + 1) * D])
    pair = source["decoder/layer_0/attention/linear_1/weight"]
    assert np.array_equal(out["model.decoder.layers.0.encoder_attn.q_proj.weight"], source["decoder/layer_0/attention/linear_0/weight"])
    assert np.array_equal(out["model.decoder.layers.0.encoder_attn.k_proj.weight"], pair[:D])
    assert np.array_equal(out["model.decoder.layers.0.encoder_attn.v_proj.weight"], pair[D:])
    assert not [name for name in out if name.endswith("k_proj.bias")]


def test_missing_unknown_and_biased_variables_are_refused() -> None:
    less = variables()
    del less["encoder/conv1/bias"]
    with pytest.raises(CheckpointError, match="no variable 'encoder/conv1/bias'"):
        whisper.rename(less)
    with pytest.raises(CheckpointError, match="unknown use: encoder/adapter"):
        whisper.rename(variables() | {"encoder/adapter": np.zeros(3)})
    biased = variables()
    biased["encoder/layer_0/self_attention/linear_0/bias"][D] = 1
    with pytest.raises(CheckpointError, match="key bias"):
        whisper.rename(biased)


def test_files_of_another_kind_or_cut_short_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.bin", variables())
    assert {name: value.shape for name, value in whisper.read_variables(path).items()} == {n: v.shape for n, v in variables().items()}
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="not a whole CTranslate2 Whisper file"):
        whisper.read_variables(path)
    with pytest.raises(CheckpointError, match=r"'TransformerSpec' version 6\.3; expected 'WhisperSpec'"):
        whisper.read_variables(write(path, variables(), "TransformerSpec"))


def test_folder_holds_what_generation_needs(tmp_path: Path) -> None:
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|startofprev|>", "<|notimestamps|>"]
    tokens = [{"id": i, "content": content, "special": True} for i, content in enumerate(special, start=10)]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens, "model": {}}))
    options = {"alignment_heads": [[0, 1]], "lang_ids": [12], "suppress_ids": [1], "suppress_ids_begin": [2]}
    (tmp_path / "options.json").write_text(json.dumps(options))
    out = tmp_path / "out"
    out.mkdir()
    model = write(tmp_path / "model.bin", variables())
    whisper.write_transformers_folder(model, tmp_path / "tokenizer.json", tmp_path / "options.json", out)
    config = json.loads((out / "config.json").read_text())
    assert (config["d_model"], config["num_mel_bins"], config["vocab_size"], config["encoder_layers"]) == (D, MELS, VOCABULARY, 1)
    generation = json.loads((out / "generation_config.json").read_text())
    assert generation["lang_to_id"] == {"<|en|>": 12}
    assert generation["task_to_id"] == {"transcribe": 14, "translate": 13}
    assert generation["no_timestamps_token_id"] == 16
    added = json.loads((out / "tokenizer.json").read_text())["added_tokens"]
    assert (added[7]["id"], added[7]["content"], added[-1]["content"]) == (17, "<|0.00|>", "<|30.00|>")
