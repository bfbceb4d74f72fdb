"""The assembled model: features and text in, text out, as a transformers PreTrainedModel.

It speaks of embeddings and slots; clips, labels and prompts are made elsewhere. `save_pretrained` writes adapters only: the
language model is fetched again by its weights entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from emollm.errors import CheckpointError, RecipeError
from emollm.lazy import resolve
from emollm.model.llm import PLAIN, Hold, load_llm
from emollm.model.preference import SHARE, preferred
from emollm.model.splice import splice
from emollm.projectors import FUSERS, PROJECTORS
from emollm.recipe import Recipe, Stream

Guide = tuple[Tensor, Tensor]
"""Ids of the question about a clip [B, Q] and mask [B, Q], for parts that look at a clip in the light of it."""

FeatureBatch = Mapping[str, tuple[Tensor, Tensor]]
"""Stream -> features [B, N, D_enc] and mask [B, N]. A stream absent from the whole batch may be left out."""

ADAPTERS = "adapters.safetensors"


class EmotionConfig(PretrainedConfig):
    """The resolved recipe, the scale, and the shape of the language model."""

    model_type = "emollm"

    def __init__(self, recipe: dict[str, Any] | None = None, scale: str = "toy", llm: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.recipe = recipe or {}
        self.scale = scale
        self.llm = llm or {}
        super().__init__(**kwargs)


@dataclass
class EmotionOutput(CausalLMOutputWithPast):
    """What transformers' causal models return, with the loss of every row [B], detached, where there are labels."""

    row_losses: Tensor | None = None


class EmotionModel(PreTrainedModel):
    """Projectors and fusers around a causal language model with LoRA."""

    config_class = EmotionConfig
    base_model_prefix = "llm"
    _no_split_modules = ["LlamaDecoderLayer"]  # noqa: RUF012 - as transformers declares it

    def __init__(self, config: EmotionConfig, llm: Any = None) -> None:
        super().__init__(config)
        self.recipe = Recipe.model_validate(config.recipe)
        spec = self.recipe.at(config.scale).llm
        base = llm if llm is not None else load_llm(None, config=config.llm)
        embedding = base.get_input_embeddings().weight
        scale = 1.0 if embedding.is_meta else float(embedding.detach().float().pow(2).mean().sqrt())
        width = base.config.hidden_size
        if spec.lora_rank:
            lora = LoraConfig(
                task_type="CAUSAL_LM",
                r=spec.lora_rank,
                lora_alpha=spec.lora_alpha,
                lora_dropout=spec.lora_dropout,
                target_modules=list(spec.lora_targets),
            )
            base = get_peft_model(base, lora)
        self.llm: Any = base
        # The language model may lie on another device, or on several; its word vectors are where everything meets.
        self.streams = tuple(s.name for s in self.recipe.streams)
        widths = self.recipe.widths(config.scale)
        self.projectors = nn.ModuleDict()
        self.fusers = nn.ModuleDict()
        for stream in self.recipe.streams:
            spec_of = stream.projector
            if spec_of is not None:
                kind = resolve("projector", spec_of.kind, PROJECTORS)
                self.projectors[stream.name] = _made(
                    stream.name,
                    kind,
                    width=widths[stream.name],
                    width_llm=width,
                    hidden=spec_of.hidden,
                    tokens=spec_of.tokens,
                    scale=scale,
                    **spec_of.options,
                )
            if stream.fuser is not None:
                fuser = resolve("fuser", stream.fuser, FUSERS)
                more: dict[str, Any] = {"width_llm": width} if fuser.guided else {}
                joined = {n: widths[n] for n in stream.fuse}
                more |= stream.options | self.recipe.at(config.scale).options.get(stream.name, {})
                self.fusers[stream.name] = _made(stream.name, fuser, widths=joined, width=widths[stream.name], **more)

        if not embedding.is_meta:
            self.projectors.to(embedding.device)
            self.fusers.to(embedding.device)

    # -- building, saving, loading

    @classmethod
    def from_recipe(cls, recipe: Recipe, scale: str, *, llm_folder: Path | None, hold: Hold = PLAIN, seed: int = 0) -> EmotionModel:
        """A fresh model with untrained adapters.

        Args:
            recipe: The system.
            scale: One of its scales.
            llm_folder: Folder of the pretrained language model; None builds the scale's tiny random one.
            hold: How the language model is held; adapters are float32.
            seed: Of the adapters' initial values.
        """
        torch.manual_seed(seed)
        llm = load_llm(llm_folder, config=recipe.at(scale).llm.config, **asdict(hold))
        shape = llm.config.to_diff_dict()
        return cls(EmotionConfig(recipe=recipe.model_dump(mode="json"), scale=scale, llm=shape), llm=llm)

    def save_pretrained(self, save_directory: Any, *_: Any, **__: Any) -> None:
        """Write config.json, the adapters and the LoRA (as a folder peft can load); never the language model."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.config.save_pretrained(folder)
        own = {
            k: v.detach().to(torch.bfloat16).contiguous() for k, v in self.state_dict().items() if k.startswith(("projectors.", "fusers."))
        }
        save_file(own, folder / ADAPTERS)
        if isinstance(self.llm, PeftModel):
            half = {k: v.to(torch.bfloat16) for k, v in self.llm.state_dict().items() if "lora_" in k}
            self.llm.save_pretrained(str(folder / "lora"), state_dict=half, save_embedding_layers=False)
            (folder / "lora" / "README.md").unlink(missing_ok=True)

    @classmethod
    def from_adapters(cls, folder: Path, *, llm_folder: Path | None, hold: Hold = PLAIN) -> EmotionModel:
        """Load what `save_pretrained` wrote, over the pretrained language model.

        Raises:
            CheckpointError: If the folder is incomplete or does not fit the recipe it carries.
        """
        if not (folder / "config.json").is_file() or not (folder / ADAPTERS).is_file():
            raise CheckpointError(
                f"{folder} holds no trained adapters (config.json and {ADAPTERS} are needed). Train them or give another folder."
            )
        saved = json.loads((folder / "config.json").read_text("utf-8"))
        model = cls.from_recipe(Recipe.model_validate(saved["recipe"]), saved["scale"], llm_folder=llm_folder, hold=hold)
        model.load_adapters(folder)
        return model

    def load_adapters(self, folder: Path) -> None:
        """Take projectors, fusers and LoRA from a folder.

        Raises:
            CheckpointError: Naming the parameters that are missing or of another shape.
        """
        found = load_file(folder / ADAPTERS)
        if (folder / "lora" / "adapter_model.safetensors").is_file():
            lora = load_file(folder / "lora" / "adapter_model.safetensors")
            found |= {
                "llm." + k.replace(".lora_A.weight", ".lora_A.default.weight").replace(".lora_B.weight", ".lora_B.default.weight"): v
                for k, v in lora.items()
            }
        wanted = {k: v for k, v in self.state_dict().items() if k.startswith(("projectors.", "fusers.")) or "lora_" in k}
        faults = [f"{k} is missing" for k in wanted.keys() - found.keys()] + [
            f"{k} is not known here" for k in found.keys() - wanted.keys()
        ]
        faults += [
            f"{k} is {tuple(found[k].shape)}, not {tuple(v.shape)}" for k, v in wanted.items() if k in found and found[k].shape != v.shape
        ]
        if faults:
            raise CheckpointError(
                f"{folder} does not fit this recipe: {'; '.join(sorted(faults)[:5])}{' and more' if len(faults) > 5 else ''}."
            )
        self.load_state_dict({k: v.to(wanted[k].dtype) for k, v in found.items()}, strict=False)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, llm_folder: Path | None = None, **kwargs: Any) -> EmotionModel:
        """Load adapters from a local folder and the language model from the weights cache.

        Raises:
            CheckpointError: If either is not there; the message names the command that fetches it.
        """
        folder = Path(pretrained_model_name_or_path)
        if llm_folder is None and (folder / "config.json").is_file():
            saved = json.loads((folder / "config.json").read_text("utf-8"))
            name = Recipe.model_validate(saved["recipe"]).at(saved["scale"]).llm.weights
            if name is not None:
                from emollm import weights

                llm_folder = weights.locate(name)
        return cls.from_adapters(folder, llm_folder=llm_folder, hold=Hold(dtype=kwargs.get("dtype", torch.float32)))

    def merge(self) -> None:
        """Fold the LoRA into the language model: faster replies, no more training.

        A quantised model keeps it apart: it would be rounded away.
        """
        if isinstance(self.llm, PeftModel) and not getattr(self.causal, "is_quantized", False):
            self.llm = self.llm.merge_and_unload()

    # -- running

    def get_input_embeddings(self) -> Any:
        """The language model's word vectors."""
        return self.llm.get_input_embeddings()

    @property
    def device_of_words(self) -> str:
        """Where prompts and features have to be."""
        return str(self.get_input_embeddings().weight.device)

    @property
    def causal(self) -> Any:
        """The language model itself, under the LoRA wrapper if there is one."""
        return self.llm.get_base_model() if isinstance(self.llm, PeftModel) else self.llm

    def project(self, features: FeatureBatch, guide: Guide | None = None) -> dict[str, tuple[Tensor, Tensor]]:
        """Features [B, N, D_enc] of each stream to tokens [B, K, D_llm]; fused streams are made on the way."""
        at = self.device_of_words
        known = {n: (tokens.to(at), mask.to(at)) for n, (tokens, mask) in features.items()}
        guide = (guide[0].to(at), guide[1].to(at)) if guide is not None else None
        out = {}
        asked = (self.get_input_embeddings()(guide[0]).float(), guide[1]) if guide is not None and self.guided else None
        for stream in self.recipe.streams:
            there = [n for n in stream.fuse if n in known]
            if there and self._enough(stream, there):
                parts = {n: known[n][0] for n in there}
                known[stream.name] = self.fusers[stream.name](parts, {n: known[n][1] for n in there}, asked)
            if stream.name in known and stream.name in self.projectors:
                out[stream.name] = self.projectors[stream.name](*known[stream.name])
        return out

    def _enough(self, stream: Stream, there: Sequence[str]) -> bool:
        """Whether the streams that a clip has are enough for a fuser; some do without all but their first."""
        return bool(self.fusers[stream.name].count(dict.fromkeys(there, 1)))  # type: ignore[operator]

    @property
    def guided(self) -> bool:
        """Whether any part looks at clips in the light of the question."""
        return any(fuser.guided for fuser in self.fusers.values())

    def counts(self, available: Mapping[str, int]) -> dict[str, int]:
        """How many slots the text must hold for each stream, given how many feature tokens a clip has."""
        known = dict(available)
        for stream in self.recipe.streams:
            if stream.fuse:
                known[stream.name] = self.fusers[stream.name].count({n: known.get(n, 0) for n in stream.fuse})  # type: ignore[operator]
        return {n: self.projectors[n].count(known.get(n, 0)) if n in self.projectors else 0 for n in self.streams}  # type: ignore[operator]

    def embed(self, input_ids: Tensor, slots: Tensor, features: FeatureBatch, guide: Guide | None = None) -> Tensor:
        """Ids [B, L] and slots [B, L] to input embeddings [B, L, D_llm]."""
        at = self.device_of_words
        embeds, slots = self.get_input_embeddings()(input_ids.to(at)), slots.to(at)
        return splice(embeds, slots, self.streams, self.project(features, guide) if features else {})

    def forward(
        self,
        input_ids: Tensor,
        slots: Tensor,
        attention_mask: Tensor,
        features: FeatureBatch | None = None,
        guide: Guide | None = None,
        labels: Tensor | None = None,
        answer_ids: Tensor | None = None,
        answer_shares: Tensor | None = None,
        better: Tensor | None = None,
        **_: Any,
    ) -> EmotionOutput:
        """Loss over labelled positions.

        Args:
            input_ids: [B, L].
            slots: [B, L], -1 or the index of a stream.
            attention_mask: [B, L].
            features: Of the clips of the batch.
            guide: The questions, where a part of the system wants them.
            labels: [B, L], -100 where nothing is to be learned; without labels, logits of all positions come back.
            answer_ids: [B, M] possible first tokens of a row's first answer.
            answer_shares: [B, M] their wanted probabilities, instead of the label's alone; rows of zeros keep the label.
            better: [P] rows whose answer is to be likelier than that of the row as far from the end of the batch as theirs from the end of
                this list; those last P rows are not learned.

        Returns:
            `loss`: mean over rows of the rows' losses, a row counting by the root of its length, so that one-word answers are not drowned;
            `row_losses`: [B], the mean of each row over its labelled positions.
        """
        hidden = self.causal.model(
            inputs_embeds=self.embed(input_ids, slots, features or {}, guide), attention_mask=attention_mask
        ).last_hidden_state
        head = self.causal.lm_head
        if labels is None:
            return EmotionOutput(logits=head(hidden))
        target = labels[:, 1:]
        learn = target != -100  # [B, L-1]
        logits = head(hidden[:, :-1][learn]).float()  # only where there is a label: the vocabulary is the widest layer
        each = nn.functional.cross_entropy(logits, target[learn], reduction="none")
        if answer_ids is not None and answer_shares is not None:
            row = learn.nonzero()[:, 0]
            first = torch.cat([row.new_ones(1, dtype=torch.bool), row[1:] != row[:-1]])  # each row's first learned position
            wanted = first & (answer_shares.sum(1) > 0)[row]
            chances = logits[wanted].log_softmax(-1).gather(1, answer_ids[row[wanted]])
            each = each.clone()
            each[wanted] = -(answer_shares[row[wanted]] * chances).sum(1)
        weight = learn.sum(1, keepdim=True).clamp(min=1).float().rsqrt().expand_as(learn)[learn]
        by_row = torch.zeros(learn.shape, dtype=each.dtype, device=each.device).masked_scatter(learn, each).sum(1)
        by_row = by_row / learn.sum(1).clamp(min=1)
        if better is None:
            return EmotionOutput(loss=(each * weight).sum() / weight.sum(), row_losses=by_row.detach())
        learned = len(by_row) - len(better)
        taught = learn.nonzero()[:, 0] < learned
        loss = (each * weight)[taught].sum() / weight[taught].sum()
        return EmotionOutput(loss=loss + SHARE * preferred(by_row[better], by_row[learned:]), row_losses=by_row[:learned].detach())

    @torch.inference_mode()
    def generate(
        self,
        input_ids: Tensor,
        slots: Tensor,
        attention_mask: Tensor,
        features: FeatureBatch | None = None,
        guide: Guide | None = None,
        **options: Any,
    ) -> Any:
        """Continue a prompt; `options` are those of transformers' `generate` (sampling, streamer, stopping criteria, cache)."""
        embeds = self.embed(input_ids, slots, features or {}, guide)
        return self.llm.generate(inputs_embeds=embeds, attention_mask=attention_mask, **options)


def _made(stream: str, kind: Any, **values: Any) -> nn.Module:
    """A part of a stream; what its recipe says wrongly is told with the stream's name."""
    try:
        part: nn.Module = kind(**values)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"stream {stream!r}: {kind.__name__} cannot be built: {error}.") from error
    return part
