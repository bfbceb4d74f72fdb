"""Third-party names to ours: files are made here by turning the published names backwards, since the real ones are out of reach."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig

from emollm import weights
from emollm.encoders.eva import Eva
from emollm.encoders.facexformer import FaceXFormer
from emollm.errors import CheckpointError
from emollm.projectors.experts import HierarchicalExpertsFuser
from emollm.projectors.face_temporal import FaceTemporalProjector
from emollm.projectors.linear import LinearProjector, MeanLinearProjector
from emollm.projectors.q_former import QFormerProjector
from emollm.weights.importers import (
    KeyReport,
    import_eva,
    import_facexformer,
    import_minigpt_v2,
    import_nano_emox,
    read_tensors,
    rename_eva,
    rename_facexformer,
)

State = dict[str, Tensor]


def scrambled(module: nn.Module, seed: int) -> nn.Module:
    """The module with every tensor random, norms and biases too, so that none can be swapped unseen."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn_like(p) * 0.2)
    return module


# --- the files, as their authors would have written them


def torchvision_swin(ours: nn.Module) -> State:
    state: State = {}
    for name, value in ours.state_dict().items():
        if part := re.fullmatch(r"linear_c\.(\d)\.(\w+)", name):
            state[f"linear_c.{part[1]}.proj.{part[2]}"] = value
        elif name.startswith("linear_fuse"):
            state[name] = value
        elif part := re.fullmatch(r"swin\.embeddings\.patch_embeddings\.projection\.(\w+)", name):
            state[f"backbone.0.0.0.{part[1]}"] = value
        elif part := re.fullmatch(r"swin\.embeddings\.norm\.(\w+)", name):
            state[f"backbone.0.0.2.{part[1]}"] = value
        elif part := re.fullmatch(r"swin\.layernorm\.(\w+)", name):
            state[f"backbone.1.{part[1]}"] = value
        elif part := re.fullmatch(r"swin\.encoder\.layers\.(\d)\.downsample\.(.+)", name):
            state[f"backbone.0.{2 * int(part[1]) + 2}.{part[2]}"] = value
        elif part := re.fullmatch(r"swin\.encoder\.layers\.(\d)\.blocks\.(\d+)\.(.+)", name):
            where, rest = f"backbone.0.{2 * int(part[1]) + 1}.{part[2]}.", part[3]
            if three := re.fullmatch(r"attention\.([qkv])_proj\.(\w+)", rest):
                key = f"{where}attn.qkv.{three[2]}"
                state[key] = torch.cat([state[key], value]) if key in state else value
                continue
            plain = {
                "layernorm_before": "norm1",
                "layernorm_after": "norm2",
                "attention.o_proj": "attn.proj",
                "attention.relative_position_bias.relative_position_bias_table": "attn.relative_position_bias_table",
                "mlp.fc1": "mlp.0",
                "mlp.fc2": "mlp.3",
            }
            old = next(k for k in plain if rest.startswith(k))
            state[where + rest.replace(old, plain[old])] = value
    state["backbone.0.1.0.attn.relative_position_index"] = torch.zeros(4, dtype=torch.long)
    state["face_decoder.pose_token.weight"] = torch.zeros(1, 256)
    return state


def lavis_eva(ours: nn.Module) -> State:
    state: State = {}
    for name, value in ours.state_dict().items():
        if name.startswith("post_layernorm"):
            continue
        if name.endswith("self_attn.qkv.bias"):
            block = f"blocks.{name.split('.')[2]}.attn."
            width = len(value) // 3
            state[block + "q_bias"], state[block + "v_bias"] = value[:width], value[2 * width :]
            continue
        theirs = name.replace("embeddings.class_embedding", "cls_token").replace("embeddings.position_embedding", "pos_embed")
        theirs = theirs.replace("embeddings.patch_embedding", "patch_embed.proj").replace("encoder.layers.", "blocks.")
        theirs = theirs.replace("self_attn.projection", "attn.proj").replace("self_attn", "attn").replace("layer_norm", "norm")
        state[theirs] = value
    for name in [k for k in state if k.startswith("blocks.1.")]:
        state[name.replace("blocks.1.", "blocks.2.")] = state[name]  # the real file holds one block more than LAVIS builds
    return state


def llm_with_lora(targets: list[str]) -> Any:
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2
    )
    lora = LoraConfig(task_type="CAUSAL_LM", r=2, lora_alpha=4, target_modules=targets)
    return get_peft_model(AutoModelForCausalLM.from_config(config), lora)


def minigpt(seed: int) -> nn.Module:
    torch.manual_seed(0)
    model = nn.ModuleDict(
        {
            "llm": llm_with_lora(["q_proj", "v_proj"]),
            "projectors": nn.ModuleDict({"image": LinearProjector(width=32, width_llm=16, hidden=1, tokens=4, scale=1.0, calm=False)}),
        }
    )
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.startswith("projectors") or "lora_" in name:
                p.copy_(torch.randn_like(p) * 0.3)
    return model.eval()


def minigpt_file(ours: nn.Module) -> State:
    state: State = {}
    for name, value in ours.state_dict().items():
        if name.startswith("projectors.image.enter."):
            state[name.replace("projectors.image.enter.", "llama_proj.")] = value
        elif "lora_" in name:
            state["llama_model." + name.removeprefix("llm.").replace(".default.", ".")] = value
    return state


def nano(seed: int) -> nn.Module:
    torch.manual_seed(0)
    reader: dict[str, Any] = {"width_llm": 16, "hidden": 8, "tokens": 3, "scale": 1.0, "calm": False, "heads": 2}
    model = nn.ModuleDict(
        {
            "llm": llm_with_lora(["q_proj", "k_proj", "down_proj"]),
            "projectors": nn.ModuleDict(
                {
                    "frames": QFormerProjector(width=12, positions=5, **reader),
                    "audio": QFormerProjector(width=10, positions=4, **reader),
                    "face": FaceTemporalProjector(width=8, positions=False, norm=False, **reader),
                    "fused": MeanLinearProjector(width=8, width_llm=16, hidden=1, tokens=1, scale=1.0, calm=False),
                }
            ),
            "fusers": nn.ModuleDict({"fused": HierarchicalExpertsFuser(widths={"audio-depths": 30, "frame-depths": 36}, width=8)}),
        }
    )
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.startswith(("projectors", "fusers")) or "lora_" in name:
                p.copy_(torch.randn_like(p) * 0.3)
    return model.eval()


def nano_file(ours: nn.Module) -> State:
    names = {
        "frames": ("video", "video_frame_position_embedding", "video_proj"),
        "audio": ("audio", "audio_position_embedding", "audio_llama_proj"),
    }
    fuser = {"enter.audio-depths": "audio_proj", "enter.frame-depths": "visual_proj", "gate": "gate_mlp"}
    state: State = {"image_llama_proj.weight": torch.zeros(1), "visual_encoder.model.x": torch.zeros(1)}
    for name, value in ours.state_dict().items():
        parts = name.split(".")
        if "lora_" in name:
            state["llama_model." + name.removeprefix("llm.")] = value
        elif parts[0] == "projectors" and parts[1] in names:
            kind, positions, leave = names[parts[1]]
            rest = ".".join(parts[2:])
            if rest == "positions.weight":
                state[f"{positions}.weight"] = value
            elif rest == "reader.queries":
                state[f"{kind}_query_tokens"] = value[None]
            elif parts[2] == "leave":
                state[f"{leave}.{parts[3]}"] = value
            else:
                inner = rest.removeprefix("reader.former.").replace("attention.attention.", "attention.self.")
                inner = inner.replace("layernorm.", "embeddings.LayerNorm.") if inner.startswith("layernorm") else inner
                state[f"{kind}_Qformer.bert.{inner}"] = value
        elif name.startswith("projectors.face."):
            theirs = {"queries": "query", "attend": "attn", "norm": "lynorm", "leave": "face_proj"}[parts[2]]
            state[".".join(["facial_encoder", theirs, *parts[3:]])] = value
        elif name.startswith("projectors.fused."):
            state[name.replace("projectors.fused.enter", "multi_llama_proj")] = value
        elif name.startswith("fusers.fused."):
            rest = name.removeprefix("fusers.fused.")
            if part := re.fullmatch(r"experts\.(\d)\.(attend|feed)\.(.+)", rest):
                rest = f"{'cross_attns' if part[2] == 'attend' else 'ffns'}.{part[1]}.{part[3]}"
            else:
                old = next(k for k in fuser if rest.startswith(k))
                rest = rest.replace(old, fuser[old])
            state["multi_multiscale_fusion." + rest] = value
    return state


# --- what the importers make of them


@torch.inference_mode()
def face_output(m: Any) -> Tensor:
    torch.manual_seed(9)
    return m.pyramid(torch.randn(2, 3, 64, 64))


@torch.inference_mode()
def eva_output(m: Any) -> Tensor:
    torch.manual_seed(9)
    return m(torch.randn(2, 3, 28, 28)).last_hidden_state


@torch.inference_mode()
def minigpt_output(m: Any) -> Tensor:
    torch.manual_seed(9)
    tokens, _ = m["projectors"]["image"](torch.randn(1, 4, 32), torch.ones(1, 4, dtype=torch.bool))
    return m["llm"](inputs_embeds=tokens).logits


@torch.inference_mode()
def nano_output(m: Any) -> Tensor:
    torch.manual_seed(9)
    there = torch.ones(1, 4, dtype=torch.bool)
    p = m["projectors"]
    fused, mask = m["fusers"]["fused"](
        {"audio-depths": torch.randn(1, 4, 30), "frame-depths": torch.randn(1, 4, 36)}, {"audio-depths": there, "frame-depths": there}
    )
    parts = [p["frames"](torch.randn(1, 4, 12), there)[0], p["audio"](torch.randn(1, 4, 10), there)[0]]
    parts += [p["face"](torch.randn(1, 4, 8), there)[0], p["fused"](fused, mask)[0]]
    return m["llm"](inputs_embeds=torch.cat(parts, 1)).logits


def face(seed: int) -> nn.Module:
    return scrambled(FaceXFormer.from_config(tiny=True), seed)


def eva(seed: int) -> nn.Module:
    net = scrambled(Eva.from_config(tiny=True).net, seed)
    with torch.no_grad():
        net.post_layernorm.weight.fill_(1)
        net.post_layernorm.bias.zero_()
        for layer in net.encoder.layers:
            layer.self_attn.qkv.bias[32:64] = 0  # keys have no bias
    return net


CASES = {
    "facexformer": (face, torchvision_swin, import_facexformer, face_output, 2, 0),
    "eva": (eva, lavis_eva, import_eva, eva_output, 13, 2),
    "minigpt-v2": (minigpt, minigpt_file, import_minigpt_v2, minigpt_output, 0, 0),
    "nano-emox": (nano, nano_file, import_nano_emox, nano_output, 2, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_outputs_come_back_exactly(case: str) -> None:
    make, to_file, load, output, unexpected, assumed = CASES[case]
    first, other = make(1), make(2)
    assert not torch.equal(output(first), output(other))
    report = load(to_file(first), other)
    assert torch.equal(output(first), output(other))
    assert report.missing == report.wrong_shape == []
    assert len(report.unexpected) == unexpected and len(report.assumed) == assumed
    assert str(report) == f"{len(report.taken)} taken, 0 missing, {unexpected} unexpected, 0 of wrong shape, {assumed} assumed"


@pytest.mark.parametrize("case", CASES)
def test_one_missing_one_extra_one_of_another_shape(case: str) -> None:
    make, to_file, load, _, unexpected, _ = CASES[case]
    first, other = make(1), make(2)
    before = {k: v.clone() for k, v in other.state_dict().items()}
    whole = to_file(first)
    names = [
        k
        for k in whole
        if k.endswith(("proj.weight", "lora_A.weight", "lora_A.default.weight")) and not k.startswith(("blocks.2", "image"))
    ]
    gone = {k: v for k, v in whole.items() if k != names[0]}
    with pytest.raises(CheckpointError, match=r"does not fit .* 1 missing.*First: .* is missing"):
        load(gone, other)
    assert all(torch.equal(v, before[k]) for k, v in other.state_dict().items())  # a refusal changes nothing
    lenient = load(gone, other, strict=False)
    assert len(lenient.missing) == 1

    extra = load(whole | {"somebody.else": torch.zeros(1)}, other)
    assert "somebody.else" in extra.unexpected and len(extra.unexpected) == unexpected + 1

    odd = whole | {names[1]: whole[names[1]][..., :-1]}
    with pytest.raises(CheckpointError, match=r"1 of wrong shape.*First: .* is \(.*\), not \("):
        load(odd, other)
    assert len(load(odd, other, strict=False).wrong_shape) == 1


def test_eva_without_one_bias_is_missing_it() -> None:
    state = lavis_eva(eva(1))
    del state["blocks.0.attn.q_bias"]
    report: KeyReport = import_eva(state, eva(2), strict=False)
    assert report.missing == ["encoder.layers.0.self_attn.qkv.bias"] and "blocks.0.attn.v_bias" in report.unexpected


def test_eva_norm_of_a_whole_blip2_is_taken() -> None:
    state = {f"visual_encoder.{k}": v for k, v in lavis_eva(eva(1)).items()}
    state |= {"ln_vision.weight": torch.full((32,), 3.0), "ln_vision.bias": torch.full((32,), 0.5)}
    net = eva(2)
    assert import_eva(state, net).assumed == []
    assert (net.post_layernorm.weight == 3).all() and (net.post_layernorm.bias == 0.5).all()  # type: ignore[operator, union-attr]


def test_minigpt_takes_both_ways_peft_writes() -> None:
    first, other = minigpt(1), minigpt(2)
    newer = {k.replace("lora_A.weight", "lora_A.default.weight"): v for k, v in minigpt_file(first).items()}
    import_minigpt_v2(newer, other)
    assert torch.equal(minigpt_output(first), minigpt_output(other))


def test_checkpoints_with_code_are_refused(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> Any:
            return (print, ("ran",))

    torch.save({"state_dict_backbone": Code()}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="cannot be read as plain tensors"):
        read_tensors(tmp_path / "model.pt", "state_dict_backbone")
    torch.save({"a": torch.zeros(1), "step": 3}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="tensors only, but does not at step"):
        read_tensors(tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="no entry 'model'"):
        read_tensors(tmp_path / "model.pt", "model")


def test_pulled_checkpoints_become_loadable_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    first = face(1)
    torch.save({"state_dict_backbone": torchvision_swin(first), "epoch": 3}, theirs / "model.pt")
    folder = weights.pull("facexformer", tmp_path / "cache", folder=theirs)
    assert torch.equal(face_output(FaceXFormer.from_folder(folder, tiny=True)), face_output(first))
    with pytest.raises(CheckpointError, match="does not fit"):
        FaceXFormer.from_folder(folder)  # these are a tiny network's

    tower = eva(1)
    torch.save(lavis_eva(tower), theirs / "eva_vit_g.pth")
    monkeypatch.setitem(weights.importers.RENAMERS, "eva-clip", lambda s: rename_eva(s, 2))  # type: ignore[attr-defined]
    folder = weights.pull("eva-clip-g", tmp_path / "cache", folder=theirs)
    assert torch.equal(eva_output(Eva.from_folder(folder, tiny=True).net), eva_output(tower))
    torch.save({"a": torch.zeros(1)}, theirs / "eva_vit_g.pth")
    with pytest.raises(CheckpointError, match="holds no tensor that eva-clip-g knows"):
        weights.pull("eva-clip-g", tmp_path / "cache", folder=theirs, force=True)


def test_nothing_of_the_real_files_names_is_left_over() -> None:
    found = rename_facexformer(torchvision_swin(face(1)))
    assert found.rest == ["backbone.0.1.0.attn.relative_position_index", "face_decoder.pose_token.weight"]
