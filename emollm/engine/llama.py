"""A merged Llama as a plain torch module for export: qkv and gate/up fused, cache tensors passed in and out.

Fusing makes 4 matrix products of a layer out of 7. It knows nothing of OpenVINO and is never run for an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """What an export has to know of a Llama."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    theta: float
    epsilon: float


def shape_of(causal: Any) -> Shape:
    """Shape of a plain Llama.

    Raises:
        ValueError: Saying what about this model is not plain.
    """
    config = causal.config
    if type(causal).__name__ != "LlamaForCausalLM" or config.model_type != "llama":
        raise ValueError(f"{type(causal).__name__} is no Llama")
    if getattr(causal, "is_quantized", False):
        raise ValueError("the language model is held in few bits")
    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default":
        raise ValueError(f"rotary positions of type {rope['rope_type']!r} are not exported")
    if config.hidden_act != "silu":
        raise ValueError(f"the activation {config.hidden_act!r} is not exported")
    biased = [n for n, m in causal.named_modules() if isinstance(m, nn.Linear) and m.bias is not None]
    if biased:
        raise ValueError(f"{biased[0]} has a bias")
    head_width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Shape(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_width=head_width,
        vocabulary=config.vocab_size,
        theta=float(rope["rope_theta"]),
        epsilon=float(config.rms_norm_eps),
    )


class FusedLlama(nn.Module):
    """Embeddings, mask, positions and cache to the last logits and the longer cache."""

    def __init__(self, causal: Any, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("pace", 1.0 / shape.theta ** (torch.arange(0, shape.head_width, 2).float() / shape.head_width))
        self.layers = nn.ModuleList(_fused(layer) for layer in causal.model.layers)
        self.norm = _fixed(causal.model.norm.weight)
        self.head = _fixed(causal.lm_head.weight)

    def forward(self, embeds: Tensor, mask: Tensor, positions: Tensor, past: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
        """One pass.

        Args:
            embeds: [B, T, D].
            mask: [B, P + T], 1 where there is something to look at.
            positions: [B, T].
            past: For each layer keys and values [B, KV, P, D_head].

        Returns:
            Logits [B, T, V], then keys and values [B, KV, P + T, D_head] of each layer.
        """
        s = self.shape
        batch, length, _ = embeds.shape
        whole = mask.shape[1]
        index = torch.arange(whole)
        causal = index[None, :] <= index[whole - length :][:, None]  # [T, P + T]
        bias = torch.where(causal[None, None] & mask.bool()[:, None, None, :], 0.0, float("-inf"))
        angles = positions[:, :, None].float() * self.pace[None, None, :]  # type: ignore[index]
        angles = torch.cat([angles, angles], -1)  # [B, T, D_head]
        cos, sin = angles.cos()[:, None], angles.sin()[:, None]
        sizes = [s.heads * s.head_width, s.kv_heads * s.head_width, s.kv_heads * s.head_width]
        out: list[Tensor] = []
        x = embeds
        for layer, (keys, values) in zip(self.layers, past, strict=True):
            parts = functional.linear(_rms(x, layer.before, s.epsilon), layer.qkv).split(sizes, -1)  # type: ignore[arg-type]
            q, k, v = (
                p.view(batch, length, n, s.head_width).transpose(1, 2)
                for p, n in zip(parts, (s.heads, s.kv_heads, s.kv_heads), strict=True)
            )
            k = torch.cat([keys, _turned(k, cos, sin)], 2)
            v = torch.cat([values, v], 2)
            out += [k, v]
            seen = functional.scaled_dot_product_attention(_turned(q, cos, sin), self._wide(k), self._wide(v), attn_mask=bias)
            x = x + functional.linear(seen.transpose(1, 2).reshape(batch, length, s.heads * s.head_width), layer.out)  # type: ignore[arg-type]
            gate, up = functional.linear(_rms(x, layer.after, s.epsilon), layer.gate_up).chunk(2, -1)  # type: ignore[arg-type]
            x = x + functional.linear(functional.silu(gate) * up, layer.down)  # type: ignore[arg-type]
        return (functional.linear(_rms(x, self.norm, s.epsilon), self.head), *out)

    def _wide(self, x: Tensor) -> Tensor:
        """Keys or values [B, KV, N, D_head] repeated for every head [B, H, N, D_head]."""
        s = self.shape
        wide = x[:, :, None].expand(x.shape[0], s.kv_heads, s.heads // s.kv_heads, x.shape[2], s.head_width)
        return wide.reshape(x.shape[0], s.heads, x.shape[2], s.head_width)


def _fused(layer: Any) -> nn.Module:
    attention, mlp = layer.self_attn, layer.mlp
    found = nn.Module()
    found.before, found.after = _fixed(layer.input_layernorm.weight), _fixed(layer.post_attention_layernorm.weight)
    found.qkv = _fixed(torch.cat([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]))
    found.out = _fixed(attention.o_proj.weight)
    found.gate_up = _fixed(torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]))
    found.down = _fixed(mlp.down_proj.weight)
    return found


def _fixed(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(weight.detach().float().cpu().contiguous(), requires_grad=False)


def _rms(x: Tensor, weight: Any, epsilon: float) -> Tensor:
    return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon))


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin
