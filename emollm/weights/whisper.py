"""A CTranslate2 Whisper file -> a transformers Whisper folder: encoder, decoder, tokenizer and generation settings.

Source: the layout that CTranslate2's WhisperSpec (binary version 6, spec revision 3) writes. A header (version, spec name, revision, number
of variables), then per variable name, rank, shape, type and bytes, then aliases of variables stored once. All numbers are little endian; a
string carries its length and a closing zero. Differs from transformers: query, key, value are one matrix in self-attention, key and value
are one in cross-attention, and the key bias, which is always zero, is stored.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emollm.errors import CheckpointError

Array = NDArray[Any]

_DTYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)
_MAX_TEXT_TOKENS = 448
_TIMESTAMPS = 1501  # 0.00 s to 30.00 s in steps of 0.02 s
_MAX_FIRST_TIMESTAMP = 50  # speech must begin within the first second when timestamps are asked for


def write_transformers_folder(model: Path, tokenizer: Path, settings: Path, out: Path) -> None:
    """Convert a multilingual Whisper model.

    Args:
        model: CTranslate2's ``model.bin``.
        tokenizer: The ``tokenizer.json`` beside it.
        settings: The ``config.json`` beside it: languages, suppressed tokens, alignment heads.
        out: An empty folder.

    Raises:
        CheckpointError: If the file is not a Whisper model, or holds variables this converter does not know.
    """
    from safetensors.numpy import save_file

    variables = read_variables(model)
    weights = rename(variables)
    words = json.loads(tokenizer.read_text(encoding="utf-8"))
    options = json.loads(settings.read_text(encoding="utf-8"))
    tokens = {t["content"]: int(t["id"]) for t in words["added_tokens"]}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    _write_json(out / "config.json", _model_config(variables, weights, tokens))
    _write_json(out / "generation_config.json", _generation_config(options, tokens))
    _write_tokenizer(words, tokens, out)
    _write_json(out / "preprocessor_config.json", _preprocessor_config(weights))


def read_variables(path: Path) -> dict[str, Array]:
    """Every variable of a CTranslate2 Whisper file, aliases left out.

    Raises:
        CheckpointError: If the file is of another kind or version, or ends early.
    """
    with path.open("rb") as file:
        try:
            version, spec = _number(file, "I"), _string(file)
            revision, count = _number(file, "I"), _number(file, "I")
            if (version, spec, revision) != (6, "WhisperSpec", 3):
                raise CheckpointError(f"{path.name} is {spec!r} version {version}.{revision}; expected 'WhisperSpec' version 6.3")
            found: dict[str, Array] = {}
            for _ in range(count):
                name = _string(file)
                rank = _number(file, "B")
                shape = struct.unpack(f"<{rank}I", file.read(4 * rank))
                kind, size = _number(file, "B"), _number(file, "I")
                found[name] = np.frombuffer(file.read(size), dtype=_DTYPES[kind]).reshape(shape)
        except (struct.error, ValueError, IndexError) as error:
            raise CheckpointError(f"{path.name} is not a whole CTranslate2 Whisper file ({error})") from error
    return found


def rename(variables: Mapping[str, Array]) -> dict[str, Array]:
    """CTranslate2's names and fused matrices -> transformers' state dict.

    Raises:
        CheckpointError: If a variable is missing, or some would be left unused.
    """
    left = dict(variables)

    def take(name: str) -> Array:
        if name not in left:
            raise CheckpointError(f"the Whisper file has no variable {name!r}")
        return left.pop(name)

    out: dict[str, Array] = {}

    def norm(source: str, target: str) -> None:
        out[f"{target}.weight"], out[f"{target}.bias"] = take(f"{source}/gamma"), take(f"{source}/beta")

    def linear(source: str, *targets: str) -> None:
        weight, bias = take(f"{source}/weight"), take(f"{source}/bias")  # [n D_out, D_in], [n D_out]
        for target, rows, offsets in zip(targets, np.split(weight, len(targets)), np.split(bias, len(targets)), strict=True):
            out[f"{target}.weight"] = np.ascontiguousarray(rows)  # [D_out, D_in]
            if target.endswith("k_proj"):
                if np.any(offsets):
                    raise CheckpointError(f"the Whisper file has a key bias in {source!r}, which transformers cannot hold")
            else:
                out[f"{target}.bias"] = np.ascontiguousarray(offsets)  # [D_out]

    for conv in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            out[f"model.encoder.{conv}.{part}"] = take(f"encoder/{conv}/{part}")
    out["model.decoder.embed_tokens.weight"] = take("decoder/embeddings/weight")  # the output matrix is tied to it
    for side in ("encoder", "decoder"):
        out[f"model.{side}.embed_positions.weight"] = take(f"{side}/position_encodings/encodings")
        norm(f"{side}/layer_norm", f"model.{side}.layer_norm")
        for i in range(layer_count(variables, side)):
            source, target = f"{side}/layer_{i}", f"model.{side}.layers.{i}"
            q, k, v = (f"{target}.self_attn.{x}_proj" for x in "qkv")
            norm(f"{source}/self_attention/layer_norm", f"{target}.self_attn_layer_norm")
            linear(f"{source}/self_attention/linear_0", q, k, v)
            linear(f"{source}/self_attention/linear_1", f"{target}.self_attn.out_proj")
            if side == "decoder":
                q, k, v = (f"{target}.encoder_attn.{x}_proj" for x in "qkv")
                norm(f"{source}/attention/layer_norm", f"{target}.encoder_attn_layer_norm")
                linear(f"{source}/attention/linear_0", q)
                linear(f"{source}/attention/linear_1", k, v)
                linear(f"{source}/attention/linear_2", f"{target}.encoder_attn.out_proj")
            norm(f"{source}/ffn/layer_norm", f"{target}.final_layer_norm")
            linear(f"{source}/ffn/linear_0", f"{target}.fc1")
            linear(f"{source}/ffn/linear_1", f"{target}.fc2")
    unused = [name for name, value in left.items() if value.ndim]  # the rest are scalar settings; `_model_config` reads those that matter
    if unused:
        raise CheckpointError(f"the Whisper file has variables of unknown use: {', '.join(sorted(unused)[:5])}")
    return out


def layer_count(variables: Mapping[str, Array], side: str) -> int:
    """Number of layers on one side, from the variables' names."""
    return len({name.split("/")[1] for name in variables if name.startswith(f"{side}/layer_") and name.split("/")[1] != "layer_norm"})


def _model_config(variables: Mapping[str, Array], weights: Mapping[str, Array], tokens: Mapping[str, int]) -> dict[str, Any]:
    if int(variables["decoder/scale_embeddings"]) or not int(variables["decoder/pre_norm"]):
        raise CheckpointError("the Whisper file scales its embeddings or normalises after each layer, which Whisper does not")
    vocabulary, width = weights["model.decoder.embed_tokens.weight"].shape
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "d_model": width,
        "vocab_size": vocabulary,
        "num_mel_bins": weights["model.encoder.conv1.weight"].shape[1],
        "max_source_positions": len(weights["model.encoder.embed_positions.weight"]),
        "max_target_positions": len(weights["model.decoder.embed_positions.weight"]),
        **{f"{side}_layers": layer_count(variables, side) for side in ("encoder", "decoder")},
        **{f"{side}_attention_heads": int(variables[f"{side}/num_heads"]) for side in ("encoder", "decoder")},
        **{f"{side}_ffn_dim": len(weights[f"model.{side}.layers.0.fc1.weight"]) for side in ("encoder", "decoder")},
        "num_hidden_layers": layer_count(variables, "encoder"),
        "activation_function": "gelu",
        "scale_embedding": False,
        "tie_word_embeddings": True,
        "is_encoder_decoder": True,
        "decoder_start_token_id": tokens["<|startoftranscript|>"],
        "bos_token_id": tokens["<|endoftext|>"],
        "eos_token_id": tokens["<|endoftext|>"],
        "pad_token_id": tokens["<|endoftext|>"],
        # Stored in 16 bits, computed in 32: a plain from_pretrained then takes the extractor's float32 features, as the original does
        "dtype": "float32",
    }


def _generation_config(options: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
    names = {number: content for content, number in tokens.items()}
    return {
        "alignment_heads": options["alignment_heads"],
        "begin_suppress_tokens": options["suppress_ids_begin"],
        "bos_token_id": tokens["<|endoftext|>"],
        "decoder_start_token_id": tokens["<|startoftranscript|>"],
        "eos_token_id": tokens["<|endoftext|>"],
        "pad_token_id": tokens["<|endoftext|>"],
        "is_multilingual": True,
        "lang_to_id": {names[number]: number for number in options["lang_ids"]},
        "max_initial_timestamp_index": _MAX_FIRST_TIMESTAMP,
        "max_length": _MAX_TEXT_TOKENS,
        "no_timestamps_token_id": tokens["<|notimestamps|>"],
        "prev_sot_token_id": tokens["<|startofprev|>"],
        "return_timestamps": False,
        "suppress_tokens": options["suppress_ids"],
        # Without it, a call that leaves the language to be detected gets no task token at all, and the text breaks off after a few words
        "task": "transcribe",
        "task_to_id": {"transcribe": tokens["<|transcribe|>"], "translate": tokens["<|translate|>"]},
    }


def _write_tokenizer(words: dict[str, Any], tokens: Mapping[str, int], out: Path) -> None:
    first = tokens["<|notimestamps|>"] + 1
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    times = [{"id": first + i, "content": f"<|{i * 0.02:.2f}|>", **flags} for i in range(_TIMESTAMPS)]
    end = "<|endoftext|>"
    _write_json(out / "tokenizer.json", {**words, "added_tokens": [*words["added_tokens"], *times]})
    _write_json(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "WhisperTokenizer",
            "processor_class": "WhisperProcessor",
            "additional_special_tokens": list(tokens),
            "add_prefix_space": False,
            "bos_token": end,
            "eos_token": end,
            "pad_token": end,
            "unk_token": end,
            "clean_up_tokenization_spaces": False,
            "errors": "replace",
            "model_max_length": 1024,
        },
    )


def _preprocessor_config(weights: Mapping[str, Array]) -> dict[str, Any]:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": weights["model.encoder.conv1.weight"].shape[1],
        "sampling_rate": 16_000,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": 30,
        "n_samples": 480_000,
        "nb_max_frames": 3_000,
        "padding_side": "right",
        "padding_value": 0.0,
        "dither": 0.0,
        "return_attention_mask": False,
    }


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _number(file: BinaryIO, code: str) -> int:
    (value,) = struct.unpack(f"<{code}", file.read(struct.calcsize(f"<{code}")))
    return int(value)


def _string(file: BinaryIO) -> str:
    length = _number(file, "H")
    return file.read(length)[:-1].decode()
