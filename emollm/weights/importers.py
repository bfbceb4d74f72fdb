"""Third-party checkpoints under our names of tensors, with a report on every name that did not fit.

It knows names and shapes; what the modules compute is not known here.
Source of the names: the public code of FaceXFormer, LAVIS (EVA-CLIP), MiniGPT-v2 and Nano-EmoX, read as text. The checkpoint files
themselves were out of our reach, so no importer was ever run on the real thing: read its report before you trust its result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from emollm.errors import CheckpointError

EVA_DEPTH = 39  # blocks that LAVIS keeps of EVA-CLIP ViT-g's forty


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What became of each tensor. `taken`, `missing` and `assumed` are our names; `unexpected` are the file's."""

    taken: list[str]
    missing: list[str]  # wanted, and not in the file
    unexpected: list[str]  # in the file, and of no use here
    wrong_shape: list[str]  # in the file, but as another shape; says both
    assumed: list[str] = field(default_factory=list)  # not in the file by design and set to what its own code starts with

    def __str__(self) -> str:
        """One line of counts."""
        parts = [f"{len(self.taken)} taken", f"{len(self.missing)} missing", f"{len(self.unexpected)} unexpected"]
        parts += [f"{len(self.wrong_shape)} of wrong shape", f"{len(self.assumed)} assumed"]
        return ", ".join(parts)


@dataclass(slots=True)
class Renamed:
    """Tensors of a file under our names."""

    tensors: dict[str, Tensor]
    sources: dict[str, str]  # our name -> the file's
    rest: list[str]  # the file's names that have no meaning here
    assumed: list[str] = field(default_factory=list)


Rules = Sequence[tuple[str, str]]  # pattern of the file's whole name -> our name


def read_tensors(path: Path, key: str = "") -> dict[str, Tensor]:
    """A pickled state dict, read as data only: code inside the file is refused, never run.

    Args:
        path: The checkpoint.
        key: Where the state dict sits inside it; empty if it is the whole file.

    Raises:
        CheckpointError: If the file cannot be read as plain tensors or has no such key.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if key:
            state = state[key]
    except KeyError as error:
        raise CheckpointError(f"{path.name} has no entry {key!r}; is it the right file?") from error
    except Exception as error:  # unpickling raises whatever the file makes it raise
        raise CheckpointError(f"{path.name} cannot be read as plain tensors ({error}); it is refused") from error
    wrong = [k for k, v in state.items() if not isinstance(v, Tensor)] if isinstance(state, dict) else ["(top level)"]
    if wrong:
        raise CheckpointError(f"{path.name} should hold tensors only, but does not at {', '.join(map(str, wrong[:5]))}")
    return state


# --- FaceXFormer ------------------------------------------------------------------------------------------------------------------------

_SWIN: Rules = (
    (r"backbone\.0\.0\.0\.(weight|bias)", r"swin.embeddings.patch_embeddings.projection.\1"),
    (r"backbone\.0\.0\.2\.(weight|bias)", r"swin.embeddings.norm.\1"),
    (r"backbone\.1\.(weight|bias)", r"swin.layernorm.\1"),
    (r"linear_c\.(\d+)\.proj\.(weight|bias)", r"linear_c.\1.\2"),
    (r"linear_fuse\.weight", r"linear_fuse.weight"),
)
_SWIN_BLOCK: Rules = (
    (r"norm1\.(weight|bias)", r"layernorm_before.\1"),
    (r"norm2\.(weight|bias)", r"layernorm_after.\1"),
    (r"attn\.proj\.(weight|bias)", r"attention.o_proj.\1"),
    (r"attn\.relative_position_bias_table", r"attention.relative_position_bias.relative_position_bias_table"),
    (r"mlp\.0\.(weight|bias)", r"mlp.fc1.\1"),
    (r"mlp\.3\.(weight|bias)", r"mlp.fc2.\1"),
)


def rename_facexformer(state: Mapping[str, Tensor]) -> Renamed:
    """`state_dict_backbone` of FaceXFormer (torchvision's Swin under `backbone`) to the names of our `FaceXFormer`."""
    found = Renamed({}, {}, [])
    for name, tensor in state.items():
        for ours, part in _facexformer_names(name, tensor):
            found.tensors[ours], found.sources[ours] = part, name
    used = set(found.sources.values())
    found.rest = [name for name in state if name not in used]
    return found


def _facexformer_names(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    plain = _by_rules(name, _SWIN)
    if plain is not None:
        yield plain, tensor
        return
    inside = re.fullmatch(r"backbone\.0\.(\d+)\.(.+)", name)
    if inside is None:
        return
    place, rest = int(inside[1]), inside[2]  # torchvision counts the patch layer, stages and merges in one row: 0, 1, 2, 3, ...
    stage = f"swin.encoder.layers.{(place - 1) // 2}"
    if place % 2 == 0:
        merge = re.fullmatch(r"(reduction|norm)\.(weight|bias)", rest)
        if merge is not None:
            yield f"{stage}.downsample.{merge[1]}.{merge[2]}", tensor
        return
    block = re.fullmatch(r"(\d+)\.(.+)", rest)
    if block is None:
        return
    where, rest = f"{stage}.blocks.{block[1]}", block[2]
    three = re.fullmatch(r"attn\.qkv\.(weight|bias)", rest)
    if three is not None:
        yield from zip((f"{where}.attention.{q}_proj.{three[1]}" for q in "qkv"), tensor.chunk(3), strict=False)
    elif (ours := _by_rules(rest, _SWIN_BLOCK)) is not None:
        yield f"{where}.{ours}", tensor


def import_facexformer(state: Mapping[str, Tensor], module: nn.Module, *, strict: bool = True) -> KeyReport:
    """Fill our `FaceXFormer` from the state dict under `state_dict_backbone`; its decoder and tables of positions stay unexpected.

    Raises:
        CheckpointError: If `strict` and a tensor is missing or of another shape.
    """
    return _fill(module, rename_facexformer(state), list(module.state_dict()), "FaceXFormer", strict)


# --- EVA-CLIP ---------------------------------------------------------------------------------------------------------------------------

_EVA: Rules = (
    (r"cls_token", r"embeddings.class_embedding"),
    (r"pos_embed", r"embeddings.position_embedding"),
    (r"patch_embed\.proj\.(weight|bias)", r"embeddings.patch_embedding.\1"),
    (r"blocks\.(\d+)\.norm([12])\.(weight|bias)", r"encoder.layers.\1.layer_norm\2.\3"),
    (r"blocks\.(\d+)\.attn\.qkv\.weight", r"encoder.layers.\1.self_attn.qkv.weight"),
    (r"blocks\.(\d+)\.attn\.proj\.(weight|bias)", r"encoder.layers.\1.self_attn.projection.\2"),
    (r"blocks\.(\d+)\.mlp\.fc([12])\.(weight|bias)", r"encoder.layers.\1.mlp.fc\2.\3"),
    (r"ln_vision\.(weight|bias)", r"post_layernorm.\1"),
)


def rename_eva(state: Mapping[str, Tensor], depth: int = EVA_DEPTH) -> Renamed:
    """EVA-CLIP as LAVIS names it to the names of transformers' Blip2VisionModel with `depth` blocks.

    Queries and values have biases in the file, keys have none: ours are zero. `ln_vision` is not part of the file; where it is missing it
    is assumed to be the plain norm that MiniGPT-v2 leaves it. Later blocks, the final norm and the classifier are left over.
    """
    found = Renamed({}, {}, [])
    names = {name.removeprefix("visual_encoder."): name for name in state}
    used: set[str] = set()
    for bare, name in names.items():
        block = re.match(r"blocks\.(\d+)\.", bare)
        if block is not None and int(block[1]) >= depth:
            continue
        ours = _by_rules(bare, _EVA)
        if ours is not None:
            found.tensors[ours], found.sources[ours] = state[name], name
            used.add(name)
    for i in range(depth):
        query, value = names.get(f"blocks.{i}.attn.q_bias"), names.get(f"blocks.{i}.attn.v_bias")
        if query is not None and value is not None:
            ours = f"encoder.layers.{i}.self_attn.qkv.bias"
            found.tensors[ours] = torch.cat([state[query], torch.zeros_like(state[query]), state[value]])
            found.sources[ours] = query
            used |= {query, value}
    found.rest = [name for name in state if name not in used]
    width = state[names["cls_token"]].shape[-1] if "cls_token" in names else 0
    for part, plain in (("weight", torch.ones(width)), ("bias", torch.zeros(width))):
        ours = f"post_layernorm.{part}"
        if width and ours not in found.tensors:
            found.tensors[ours] = plain
            found.assumed.append(ours)
    return found


def import_eva(state: Mapping[str, Tensor], module: nn.Module, *, strict: bool = True) -> KeyReport:
    """Fill transformers' Blip2VisionModel from `eva_vit_g.pth`, taking as many blocks as the module has.

    Raises:
        CheckpointError: If `strict` and a tensor is missing or of another shape.
    """
    wanted = list(module.state_dict())
    depth = len({name.split(".")[2] for name in wanted if name.startswith("encoder.layers.")})
    return _fill(module, rename_eva(state, depth), wanted, "EVA-CLIP", strict)


# --- MiniGPT-v2 -------------------------------------------------------------------------------------------------------------------------


def import_minigpt_v2(
    state: Mapping[str, Tensor], module: nn.Module, *, llm: str = "llm.", projector: str = "projectors.image.enter.", strict: bool = True
) -> KeyReport:
    """Fill a model's picture projector and its LoRA on queries and values from MiniGPT-v2's stage 3 (the dict under `model`).

    LoRA names are taken with and without peft's adapter name, as older and newer peft write them. Frozen parts of the module are neither
    wanted nor touched. The projector was trained on groups of four patches in a row and on its bare output: see `join` of our EVA
    backbone, and turn the projector's `calm` off.

    Args:
        state: The file's tensors.
        module: The model, such as an `EmotionModel`.
        llm: What the names of its language model with LoRA begin with.
        projector: What the names of its linear projector begin with.
        strict: Refuse what does not fit.

    Raises:
        CheckpointError: If `strict` and a tensor is missing or of another shape.
    """
    rules: Rules = (
        (r"llama_proj\.(weight|bias)", projector + r"\1"),
        (r"llama_model\.(.+\.(?:q|v)_proj\.lora_[AB])(?:\.default)?\.weight", llm + r"\1.default.weight"),
    )
    wanted = [n for n in module.state_dict() if n.startswith(projector) or (n.startswith(llm) and ".lora_" in n)]
    return _fill(module, _renamed(state, rules), wanted, "MiniGPT-v2", strict)


# --- Nano-EmoX --------------------------------------------------------------------------------------------------------------------------


def _q_former(theirs: str, ours: str, positions: str, leave: str) -> Rules:
    former = f"projectors.{ours}.reader.former."
    layer = rf"{theirs}_Qformer\.bert\.encoder\.layer\.(\d+)\."
    return (
        (rf"{positions}\.weight", f"projectors.{ours}.positions.weight"),
        (rf"{theirs}_query_tokens", f"projectors.{ours}.reader.queries"),
        (rf"{theirs}_Qformer\.bert\.embeddings\.LayerNorm\.(weight|bias)", rf"{former}layernorm.\1"),
        (layer + r"(attention|crossattention)\.self\.(query|key|value)\.(weight|bias)", former + r"encoder.layer.\1.\2.attention.\3.\4"),
        (layer + r"((?:attention|crossattention)\.output\..+)", former + r"encoder.layer.\1.\2"),
        (layer + r"((?:intermediate_query|output_query)\..+)", former + r"encoder.layer.\1.\2"),
        (rf"{leave}\.(weight|bias)", rf"projectors.{ours}.leave.\1"),
    )


NANO_EMOX: Rules = (
    *_q_former("video", "frames", "video_frame_position_embedding", "video_proj"),
    *_q_former("audio", "audio", "audio_position_embedding", "audio_llama_proj"),
    (r"facial_encoder\.query", r"projectors.face.queries"),
    (r"facial_encoder\.attn\.(.+)", r"projectors.face.attend.\1"),
    (r"facial_encoder\.lynorm\.(weight|bias)", r"projectors.face.norm.\1"),
    (r"facial_encoder\.face_proj\.(\d+\..+)", r"projectors.face.leave.\1"),
    (r"multi_multiscale_fusion\.audio_proj\.(weight|bias)", r"fusers.fused.enter.audio-depths.\1"),
    (r"multi_multiscale_fusion\.visual_proj\.(weight|bias)", r"fusers.fused.enter.frame-depths.\1"),
    (r"multi_multiscale_fusion\.cross_attns\.(\d+)\.(.+)", r"fusers.fused.experts.\1.attend.\2"),
    (r"multi_multiscale_fusion\.ffns\.(\d+)\.(.+)", r"fusers.fused.experts.\1.feed.\2"),
    (r"multi_multiscale_fusion\.gate_mlp\.(\d+\..+)", r"fusers.fused.gate.\1"),
    (r"multi_llama_proj\.(weight|bias)", r"projectors.fused.enter.\1"),
    (r"llama_model\.(.+\.lora_[AB])(?:\.default)?\.weight", r"llm.\1.default.weight"),
)
"""Their names to ours, for the wiring of `adapters/nano_emox.toml`."""


def import_nano_emox(state: Mapping[str, Tensor], module: nn.Module, *, rules: Rules = NANO_EMOX, strict: bool = True) -> KeyReport:
    """Fill the trained parts of a Nano-EmoX model: query transformers, face queries, experts, projections and LoRA.

    Frozen encoders, `image_llama_proj` and the unused `multi_*_embs` of the file are reported as unexpected. Its face module neither
    applies its norm nor knows time: use the recipe's variant `code`.

    Raises:
        CheckpointError: If `strict` and a tensor is missing or of another shape.
    """
    wanted = [n for n in module.state_dict() if n.startswith(("projectors.", "fusers.")) or ".lora_" in n]
    found = _renamed(state, rules)
    for name, tensor in found.tensors.items():
        if name.endswith(".reader.queries") and tensor.ndim == 3:
            found.tensors[name] = tensor[0]  # [1, K, D] in the file
    return _fill(module, found, wanted, "Nano-EmoX", strict)


# --- shared -----------------------------------------------------------------------------------------------------------------------------


def _by_rules(name: str, rules: Rules) -> str | None:
    """The name that the first fitting rule makes of `name`."""
    for pattern, ours in rules:
        match = re.fullmatch(pattern, name)
        if match is not None:
            return match.expand(ours)
    return None


def _renamed(state: Mapping[str, Tensor], rules: Rules) -> Renamed:
    found = Renamed({}, {}, [])
    for name, tensor in state.items():
        ours = _by_rules(name, rules)
        if ours is None:
            found.rest.append(name)
        else:
            found.tensors[ours], found.sources[ours] = tensor, name
    return found


def _fill(module: nn.Module, found: Renamed, wanted: Sequence[str], what: str, strict: bool) -> KeyReport:
    """Copy what fits into the module's wanted tensors; nothing is copied if `strict` refuses."""
    slots = module.state_dict()
    missing = [n for n in wanted if n not in found.tensors]
    wrong = [
        f"{n} is {tuple(found.tensors[n].shape)}, not {tuple(slots[n].shape)}"
        for n in wanted
        if n in found.tensors and found.tensors[n].shape != slots[n].shape
    ]
    taken = [n for n in wanted if n in found.tensors and found.tensors[n].shape == slots[n].shape]
    known = set(wanted)
    unexpected = found.rest + [source for n, source in found.sources.items() if n not in known]
    assumed = [n for n in found.assumed if n in known]
    report = KeyReport([n for n in taken if n not in assumed], missing, sorted(set(unexpected)), wrong, assumed)
    if strict and (missing or wrong):
        first = "; ".join([f"{n} is missing" for n in missing[:5]] + wrong[:5])
        raise CheckpointError(f"the checkpoint does not fit {what}: {report}. First: {first}.")
    with torch.no_grad():
        for name in taken:
            slots[name].copy_(found.tensors[name])
    return report


RENAMERS: dict[str, Callable[[Mapping[str, Tensor]], Renamed]] = {"facexformer": rename_facexformer, "eva-clip": rename_eva}
"""Converter -> how its state dict is renamed when the weights are fetched."""
