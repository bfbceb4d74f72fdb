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
from emollm.data.features import FeatureStore
from emollm.data.tasks import Head
from emollm.encoders.face import EXPRESSIONS, FaceEncoder
from emollm.encoders.voice import EMOTIONS, VoiceEncoder
from emollm.errors import DataError, RecipeError, unknown_name
from emollm.model.llm import PLAIN, Hold
from emollm.recipe import Stage, load_recipe
from emollm.training.anchor import anchor
from emollm.training.encoders import train_encoders
from emollm.training.learnt import Learnt, from_folder, from_samples
from emollm.training.ranks import first_alone, is_first, together
from emollm.training.reinforce import run_reinforcement
from emollm.training.sft import Report, run_sft
from emollm.training.stores import store_for
from emollm.training.stream import run_stream

ENCODERS = "encoders"  # the stage before all others: our face and voice encoders
Say = Callable[[str, float, str], None]
"""Called with what is being done, the share done, and a detail such as the loss."""


def train(
    system: str,
    scale: str,
    data: Path | None,
    out: Path,
    *,
    samples: Sequence[Path] = (),
    media: Path | None = None,
    mixture: str | None = None,
    films: Sequence[Path] = (),
    resume: bool = False,
    only: str | None = None,
    start: Path | None = None,
    own: Path | None = None,
    features: Path | None = None,
    workers: int = 2,
    shrink: float = 1.0,
    renders: int = 0,
    passes: float | None = None,
    seed: int = 0,
    hold: Hold = PLAIN,
    say: Say | None = None,
) -> Path:
    """Train a system.

    Args:
        system: Recipe name or path.
        scale: One of its scales.
        data: Folder with index.jsonl; None with `samples`.
        out: Where checkpoints and features are kept.
        samples: Unified JSONL files, to learn from the stages' unified mixtures.
        media: Folder the media of the samples are in.
        mixture: One mixture for all supervised stages, in the place of their own; over `data` or unified, as what is learned from.
        films: Folders made by `emollm synth`, beside `data`.
        resume: Skip stages that are done and go on inside the one that is not.
        only: Name of the one stage to run, or "encoders" for our face and voice encoders.
        start: Folder with adapters to begin from, for a short re-training; from nothing if None.
        own: Folder with our encoders; the shipped ones if None.
        features: Folder of encoded media, to be shared between systems; inside `out` if None.
        workers: Processes for encoding.
        shrink: Share of each mixture to use, for quick trials.
        renders: Synthetic faces for the stage "encoders".
        passes: How often the supervised stages together go through their mixtures, each its share by its epochs; as each says if None.
        seed: Of everything random.
        hold: How the language model is held; in 4 or 8 bits its adapters are trained all the same (QLoRA).
        say: Progress.

    Returns:
        The folder with the trained adapters.

    Raises:
        RecipeError: Unknown stage, or one without a unified mixture.
        DataError: Faulty data folder or files, or a mixture that learns from what a card measures.
    """
    quiet: Say = lambda what, share, detail: None  # noqa: E731
    tell = say if say is not None and is_first() else quiet
    if (data is None) == (not samples):
        raise DataError("give either a folder with index.jsonl (--data) or unified files (--samples with --media), not both or neither.")
    if only == ENCODERS:
        if data is None:
            raise DataError("the face and voice encoders learn from a folder with index.jsonl; give --data.")
        return train_encoders(data, out / ENCODERS, renders=renders, seed=seed, say=tell)
    parts = build(system, scale, fresh=True, hold=replace(hold, train=True))
    if parts.model.device_of_words == "cpu" and hold.bits is None:
        # The fused attention of the processor takes a quarter of a step for prompts this short, plain products a tenth.
        parts.model.causal.set_attn_implementation("eager")
    stages = planned(parts.recipe.stages, mixture if data is not None else None, passes)
    if only is not None and only not in {s.name for s in stages}:
        raise RecipeError(unknown_name("stage", only, [s.name for s in stages]))
    asked = [s for s in stages if only in (None, s.name)]  # the others' media need not be encoded
    learnt = (
        from_folder(data, asked, seed, shrink, films)
        if data is not None
        else from_samples(samples, media, asked, parts.recipe, mixture, seed, shrink)
    )
    for note in learnt.notes:
        tell("mixture", 1.0, note)
    folder, filled_by = store_for(features or out / "features", system, scale, own)
    store = FeatureStore(learnt.corpus, folder)
    with first_alone():
        store.build(
            learnt.items,
            perception_maker(filled_by, scale, own),
            workers=workers,
            progress=lambda done, of: tell("encoding faces and voices", done / max(of, 1), f"{done} of {of} shards"),
        )
    learnt.read_from(store, parts.recipe)
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
        measured = _run(parts, stage, learnt, heads, home, resume=resume, seed=seed, say=tell)
        if is_first():
            parts.model.save_pretrained(home / "adapters")
            finished.write_text(json.dumps({"stage": stage.name, "seconds": round(time.perf_counter() - began, 1)} | measured, indent=1))
        together()
        before = home / "adapters"
    if is_first():
        parts.model.save_pretrained(final)
    together()
    return final


def planned(stages: Sequence[Stage], mixture: str | None, passes: float | None) -> tuple[Stage, ...]:
    """Stages over one mixture, or for so many passes in all: what two systems need to be compared at an equal budget."""
    whole = sum(s.epochs for s in stages if s.method == "sft")

    def changed(stage: Stage) -> Stage:
        new: dict[str, Any] = {"data": mixture} if mixture is not None else {}
        return stage.model_copy(update=new | ({"epochs": stage.epochs * passes / whole} if passes is not None else {}))

    return tuple(changed(s) if s.method == "sft" else s for s in stages)


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
    learnt: Learnt,
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
            [s for s in learnt.seen.values() if s.item.label],
            learning_rate=stage.learning_rate,
            epochs=stage.epochs,
            seed=seed,
            report=lambda share, value: say(stage.name, share, f"loss {value:.3f}"),
        )
        return {"loss": loss}
    report: Report = lambda step, of, loss: say(stage.name, step / of, f"step {step} of {of}, loss {loss:.3f}")  # noqa: E731
    if stage.name in learnt.lessons:
        measured = run_stream(parts.model, parts.prompts, learnt.lessons[stage.name], stage, home, resume=resume, seed=seed, report=report)
        drawn = ", ".join(f"{name} {share:.1%}" for name, share in measured["realised"].items())
        say(stage.name, 1.0, f"drew {drawn}")
        return measured
    assert stage.data is not None
    if stage.method == "grpo":
        labelled = learnt.mixtures[stage.data].samples(learnt.seen, heads)
        rewarded: Report = lambda step, of, reward: say(stage.name, step / of, f"step {step} of {of}, reward {reward:.3f}")  # noqa: E731
        return run_reinforcement(parts.model, parts.prompts, labelled, stage, home, resume=resume, seed=seed, report=rewarded)
    samples = learnt.mixtures[stage.data].samples(learnt.seen, heads)
    watched = learnt.watched[stage.name].samples(learnt.seen, heads) if stage.name in learnt.watched else ()
    return run_sft(parts.model, parts.prompts, samples, stage, home, resume=resume, seed=seed, watched=watched, report=report)
