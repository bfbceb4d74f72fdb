"""How large a system is at a scale, counted on the meta device: no weight is loaded or made."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from emollm import weights
from emollm.errors import CheckpointError
from emollm.model.emotion_model import EmotionConfig, EmotionModel
from emollm.model.groups import train_only
from emollm.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of parameters."""

    projectors: dict[str, int]  # stream -> projector
    fusers: dict[str, int]  # stream -> fuser
    lora: int
    llm: int  # without LoRA
    stages: dict[str, int]  # stage -> parameters that learn in it
    tokens: dict[str, int]  # stream -> most tokens of a clip

    @property
    def trainable(self) -> int:
        """All that ever learns."""
        return sum(self.projectors.values()) + sum(self.fusers.values()) + self.lora


def on_paper(recipe: Recipe, scale: str) -> EmotionModel:
    """The assembled model on the meta device.

    Raises:
        CheckpointError: If the shape of the language model is neither in the recipe nor in the weights cache.
    """
    from transformers import AutoConfig

    llm = recipe.at(scale).llm
    shape = dict(llm.config)
    if not shape and llm.weights is not None:
        if not weights.ready(llm.weights):
            raise CheckpointError(
                f"the shape of {llm.weights} is not known before its weights are there: emollm weights pull {llm.weights}."
            )
        shape = AutoConfig.from_pretrained(weights.locate(llm.weights)).to_dict()
    with torch.device("meta"):
        return EmotionModel(EmotionConfig(recipe=recipe.model_dump(mode="json"), scale=scale, llm=shape))


def sizes(recipe: Recipe, scale: str) -> Sizes:
    """Count a system's parameters.

    Raises:
        RecipeError: If a stage's pattern matches no parameter.
        CheckpointError: See `on_paper`.
    """
    model = on_paper(recipe, scale)
    lora = sum(p.numel() for n, p in model.named_parameters() if "lora_" in n)
    stages = {}
    for stage in recipe.stages:
        train_only(model, stage.train)
        stages[stage.name] = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Sizes(
        projectors={n: _count(m) for n, m in model.projectors.items()},
        fusers={n: _count(m) for n, m in model.fusers.items()},
        lora=lora,
        llm=_count(model.llm) - lora,
        stages=stages,
        tokens={s.name: s.projector.tokens for s in recipe.streams if s.projector is not None},
    )


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
