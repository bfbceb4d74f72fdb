"""A recipe's stages from the first to the last, each handing its weights on; what is done is kept, so that a stopped run goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emollm.build import Parts, build, load_encoder, perception_maker, shipped_folder
from emollm.data.corpus import Corpus, Item
from emollm.data.features import FeatureStore, Seen
from emollm.data.mixture import Mixture
from emollm.data.tasks import Head
from emollm.encoders.face import EXPRESSIONS, FaceEncoder
from emollm.encoders.voice import EMOTIONS, VoiceEncoder
from emollm.errors import RecipeError, unknown_name
from emollm.model.llm import PLAIN, Hold
from emollm.recipe import Stage, load_recipe
from emollm.training.anchor import anchor
from emollm.training.encoders import train_encoders
from emollm.training.sft import run_sft
from emollm.training.stores import store_for

ENCODERS = "encoders"  # the stage before all others: our face and voice encoders
Say = Callable[[str, float, str], None]
"""Called with what is being done, the share done, and a detail such as the loss."""


def needed_items(mixtures: Sequence[Mixture]) -> list[Item]:
    """All media the mixtures draw from, once each, in a fixed order."""
    found = {i.id: i for m in mixtures for i in m.media()}
    return [found[k] for k in sorted(found)]


def train(
    system: str,
    scale: str,
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    only: str | None = None,
    start: Path | None = None,
    own: Path | None = None,
    features: Path | None = None,
    workers: int = 2,
    shrink: float = 1.0,
    renders: int = 0,
    seed: int = 0,
    hold: Hold = PLAIN,
    say: Say | None = None,
) -> Path:
    """Train a system.

    Args:
        system: Recipe name or path.
        scale: One of its scales.
        data: Folder with index.jsonl.
        out: Where checkpoints and features are kept.
        resume: Skip stages that are done and go on inside the one that is not.
        only: Name of the one stage to run, or "encoders" for our face and voice encoders.
        start: Folder with adapters to begin from, for a short re-training; from nothing if None.
        own: Folder with our encoders; the shipped ones if None.
        features: Folder of encoded media, to be shared between systems; inside `out` if None.
        workers: Processes for encoding.
        shrink: Share of each mixture to use, for quick trials.
        renders: Synthetic faces for the stage "encoders".
        seed: Of everything random.
        hold: How the language model is held; in 4 or 8 bits its adapters are trained all the same (QLoRA).
        say: Progress.

    Returns:
        The folder with the trained adapters.

    Raises:
        RecipeError: Unknown stage.
        DataError: Faulty data folder.
    """
    tell = say or (lambda what, share, detail: None)
    if only == ENCODERS:
        return train_encoders(data, out / ENCODERS, renders=renders, seed=seed, say=tell)
    corpus = Corpus(data)
    parts = build(system, scale, fresh=True, hold=replace(hold, train=True))
    stages = parts.recipe.stages
    if only is not None and only not in {s.name for s in stages}:
        raise RecipeError(unknown_name("stage", only, [s.name for s in stages]))
    asked = [s for s in stages if only in (None, s.name)]  # the others' media need not be encoded
    mixtures = {s.data: Mixture(s.data, corpus, seed=seed, shrink=shrink) for s in asked if s.data}
    items = needed_items(list(mixtures.values()))
    folder, filled_by = store_for(features or out / "features", system, scale, own)
    store = FeatureStore(corpus, folder)
    store.build(
        items,
        perception_maker(filled_by, scale, own),
        workers=workers,
        progress=lambda done, of: tell("encoding faces and voices", done / max(of, 1), f"{done} of {of} shards"),
    )
    seen = store.load(items, parts.recipe)
    heads = encoder_heads(system, scale, own)
    final = out / "trained"
    before = start
    for number, stage in enumerate(stages):
        home = out / f"{number}-{stage.name}"
        finished = home / "done.json"
        if (resume or (only is not None and stage.name != only)) and finished.is_file():
            before = home / "adapters"
            continue
        if only is not None and stage.name != only:
            continue
        if before is not None:
            parts.model.load_adapters(before)
        began = time.perf_counter()
        measured = _run(parts, stage, mixtures, seen, heads, home, resume=resume, seed=seed, say=tell)
        parts.model.save_pretrained(home / "adapters")
        finished.write_text(json.dumps({"stage": stage.name, "seconds": round(time.perf_counter() - began, 1)} | measured, indent=1))
        before = home / "adapters"
    parts.model.save_pretrained(final)
    return final


def encoder_heads(system: str, scale: str, own: Path | None) -> dict[str, Head]:
    """What our encoders make of their own tokens; empty where a scale has none of ours."""
    recipe = load_recipe(system)
    folder, ours = own or shipped_folder(recipe, scale), recipe.at(scale).encoders
    heads: dict[str, Head] = {}
    if ours.get("face") == "ours":
        face = FaceEncoder()
        load_encoder(face.eval(), folder / "face.safetensors")
        heads["face"] = Head(EXPRESSIONS, _calm(face.probabilities))
    if ours.get("voice") == "ours":
        voice = VoiceEncoder()
        load_encoder(voice.eval(), folder / "voice.safetensors")
        heads["voice"] = Head(EMOTIONS, _calm(voice.probabilities))
    return heads


def _calm(shares: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def told(tokens: Tensor) -> Tensor:
        with torch.inference_mode():
            return shares(tokens)

    return told


def _run(
    parts: Parts,
    stage: Stage,
    mixtures: dict[str, Mixture],
    seen: dict[str, Seen],
    heads: dict[str, Head],
    home: Path,
    *,
    resume: bool,
    seed: int,
    say: Say,
) -> dict[str, Any]:
    home.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    parts.model.train()
    if stage.method == "anchor":
        loss = anchor(
            parts.model,
            parts.tokenizer,
            [s for s in seen.values() if s.item.label],
            learning_rate=stage.learning_rate,
            epochs=stage.epochs,
            seed=seed,
            report=lambda share, value: say(stage.name, share, f"loss {value:.3f}"),
        )
        return {"loss": loss}
    assert stage.data is not None
    samples = mixtures[stage.data].samples(seen, heads)
    return run_sft(
        parts.model,
        parts.prompts,
        samples,
        stage,
        home,
        resume=resume,
        seed=seed,
        report=lambda step, of, loss: say(stage.name, step / of, f"step {step} of {of}, loss {loss:.3f}"),
    )
