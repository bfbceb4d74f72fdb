"""A recipe at a scale to its working parts: perception, model and tokenizer.

The one place that brings weights, encoders and the model together.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from emollm import catalog, weights
from emollm.data.conversation import PromptBuilder
from emollm.encoders.base import BACKBONES, Backbone
from emollm.encoders.face import FaceEncoder
from emollm.encoders.scene import SceneEncoder
from emollm.encoders.speech import Whisper
from emollm.encoders.toy import ToySpeech
from emollm.encoders.units import UnitEncoder
from emollm.encoders.voice import VoiceEncoder
from emollm.errors import CheckpointError
from emollm.lazy import resolve
from emollm.media.decode import DEFAULT_LIMITS, Limits
from emollm.media.tracks import FaceTracker
from emollm.model.emotion_model import EmotionModel
from emollm.model.llm import PLAIN, Hold
from emollm.model.tokenizer import load_tokenizer
from emollm.perception import Perception
from emollm.quiet import quiet_transformers
from emollm.recipe import BackboneSpec, Recipe, ScaleSpec, load_recipe

DEFAULT, DEFAULT_SCALE = "emollm", "mini"  # whose encoders measure faces and voices in every system
OURS = "ours"
MOST_SECONDS = 4 * 3600.0  # of a clip that is measured without being talked about


@dataclass(frozen=True, slots=True)
class Parts:
    """A system ready to run."""

    recipe: Recipe
    scale: str
    perception: Perception
    model: EmotionModel
    tokenizer: Any
    prompts: PromptBuilder
    version: str  # short identity of the trained weights; "untrained" without them


def shipped_folder(recipe: Recipe, scale: str) -> Path:
    """Where the weights trained and shipped for a scale lie, whether or not they exist."""
    return catalog.folder("adapters") / "weights" / (recipe.at(scale).shipped or f"{recipe.name}-{scale}")


@quiet_transformers()
def build_perception(
    system: str,
    scale: str,
    own: Path | None = None,
    *,
    threads: int = 1,
    transcribe: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    device: str = "cpu",
    backbones: bool = True,
) -> Perception:
    """The encoders of a system.

    Args:
        system: Recipe name or path.
        scale: One of its scales.
        own: Folder with our encoders (`face.safetensors`, `voice.safetensors`); the shipped one if None.
        threads: For the face networks.
        transcribe: Write words down; training on known texts does not need it.
        limits: How often and how much of a clip is looked at.
        device: Of the backbones.
        backbones: Whether to load them: measurements do without.

    Raises:
        CheckpointError: If weights are missing; the message names the command that fetches them.
    """
    recipe = load_recipe(system)
    spec = recipe.at(scale)
    torch.manual_seed(0)
    face, voice = FaceEncoder(), VoiceEncoder()
    if scale == "toy":
        tracker = FaceTracker(weights.locate("mediapipe-face")) if weights.ready("mediapipe-face") else None
        scenery = SceneEncoder().eval() if "scene" in spec.encoders else None
        return Perception(
            face=face,
            voice=voice,
            scene=scenery,
            speech=ToySpeech(),
            tracker=tracker,
            limits=limits,
            units=UnitEncoder(),
            backbones=build_backbones(spec, device) if backbones else None,
        )
    # What is measured is measured by our own encoders in every system; the streams of others come from their backbones.
    ours = spec.encoders if not spec.backbones else load_recipe(DEFAULT).at(DEFAULT_SCALE).encoders
    folder = own or (shipped_folder(recipe, scale) if not spec.backbones else shipped_folder(load_recipe(DEFAULT), DEFAULT_SCALE))
    if ours.get("face") == "ours":
        load_encoder(face, folder / "face.safetensors")
    if ours.get("voice") == "ours":
        load_encoder(voice, folder / "voice.safetensors")
    scene = spec.encoders.get("scene")
    units = None
    if ours.get("units") == "ours":
        units = UnitEncoder()
        load_encoder(units, folder / "units.safetensors")
    return Perception(
        face=face,
        units=units,
        voice=voice,
        scene=SceneEncoder.from_folder(weights.locate(scene)) if isinstance(scene, str) else None,
        speech=Whisper(weights.locate("whisper-base")),
        tracker=FaceTracker(weights.locate("mediapipe-face"), threads=threads),
        transcribe=transcribe,
        limits=limits,
        backbones=build_backbones(spec, device) if backbones else None,
    )


def build_backbones(spec: ScaleSpec, device: str = "cpu") -> dict[str, Backbone]:
    """The frozen encoders of a scale beyond the measuring layer, with their weights or, where none are named, random ones.

    Raises:
        CheckpointError: If weights are missing; the message names the command that fetches them.
    """
    found: dict[str, Backbone] = {}
    made: list[tuple[BackboneSpec, Backbone]] = []
    for name, wanted in spec.backbones.items():
        same = next((backbone for other, backbone in made if other == wanted), None)
        if same is not None:  # one tower, read for the whole picture and for the face
            found[name] = same
            continue
        kind = resolve("backbone", wanted.kind, BACKBONES)
        if wanted.weights == OURS:
            found[name] = kind.from_folder(shipped_folder(load_recipe(DEFAULT), DEFAULT_SCALE), device=device, **wanted.options)
        elif wanted.weights is not None:
            found[name] = kind.from_folder(weights.locate(wanted.weights), device=device, **wanted.options)
        else:
            found[name] = kind.from_config(**wanted.options)
        made.append((wanted, found[name]))
    return found


def own_encoders(system: str, scale: str, adapters: Path | None = None) -> Path | None:
    """The folder of trained adapters, or of the shipped ones, if it has encoders of its own; None if the usual ones measure."""
    home = adapters or shipped_folder(load_recipe(system), scale)
    return home if (home / "face.safetensors").is_file() else None


def perception_maker(system: str, scale: str, own: Path | None = None) -> Any:
    """A picklable factory, for worker processes."""
    return partial(build_perception, system, scale, own, transcribe=False)


def measuring_maker(system: str, scale: str, fps: float, seconds: float = MOST_SECONDS) -> Any:
    """A picklable factory of encoders that also write down words and look at a whole clip as often as asked."""
    return partial(build_perception, system, scale, limits=Limits(seconds=seconds, frames=None, fps=fps), backbones=False)


def encoders_key(system: str, scale: str, own: Path | None = None) -> str:
    """Short identity of the encoders of a scale, their weights included: features of one key must not meet those of another."""
    recipe = load_recipe(system)
    spec = recipe.at(scale)
    named = {n: e if isinstance(e, str) else e.model_dump() for n, e in spec.encoders.items()}
    digest = hashlib.sha256(json.dumps(named, sort_keys=True).encode())
    if spec.backbones and scale != "toy" and own is None:
        digest.update(encoders_key(DEFAULT, DEFAULT_SCALE).encode())  # what finds the faces
    for name in ("face", "voice", "units"):
        path = (own or shipped_folder(recipe, scale)) / f"{name}.safetensors"
        if recipe.at(scale).encoders.get(name) == "ours" and path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def load_encoder(module: torch.nn.Module, path: Path) -> None:
    """Fill one of our encoders from safetensors.

    Raises:
        CheckpointError: If the file is missing or does not fit.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        raise CheckpointError(
            f"{path} is missing. Take the shipped weights, or train them: emollm train emollm --stage encoders --data DIR."
        )
    state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
    later = getattr(module, "later_heads", ())  # parts that a file may lack
    missing = [k for k in module.state_dict() if k not in state and not k.startswith(later)]
    try:
        unexpected = module.load_state_dict(state, strict=False).unexpected_keys
    except RuntimeError as error:
        raise CheckpointError(f"{path.name} does not fit this encoder: {str(error).splitlines()[-1].strip()}") from None
    if missing or unexpected:
        raise CheckpointError(
            f"{path.name} does not fit this encoder: it lacks {missing or 'nothing'} and has {unexpected or 'nothing'} more."
        )


def llm_folder(recipe: Recipe, scale: str) -> Path | None:
    """Folder of the scale's language model; None where it is random."""
    name = recipe.at(scale).llm.weights
    return weights.locate(name) if name else None


@quiet_transformers()
def build(
    system: str,
    scale: str,
    *,
    adapters: Path | None = None,
    fresh: bool = False,
    hold: Hold = PLAIN,
    perception: Perception | None = None,
) -> Parts:
    """A whole system.

    Args:
        system: Recipe name or path.
        scale: One of its scales.
        adapters: Folder of trained adapters; the shipped one if None.
        fresh: Start from untrained adapters.
        hold: How the language model is held in memory.
        perception: Reuse encoders that are already loaded.
    """
    recipe = load_recipe(system)
    folder = llm_folder(recipe, scale)
    tokenizer = load_tokenizer(folder)
    if scale == "toy":
        config = recipe.at(scale).llm.config | {
            "vocab_size": len(tokenizer),
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        toy = recipe.at(scale).model_copy(update={"llm": recipe.at(scale).llm.model_copy(update={"config": config})})
        recipe = recipe.model_copy(update={"scales": {**recipe.scales, "toy": toy}})
    home = adapters or shipped_folder(recipe, scale)
    untrained = fresh or (scale == "toy" and adapters is None)
    if untrained:
        model = EmotionModel.from_recipe(recipe, scale, llm_folder=folder, hold=hold)
    else:
        model = EmotionModel.from_adapters(home, llm_folder=folder, hold=hold)
    marked = [s.name for s in recipe.streams if s.marks]
    prompts = PromptBuilder(tokenizer, model.streams, model.counts, recipe.system_prompt, recipe.layout, marked)
    own = own_encoders(system, scale, adapters)
    seeing = perception or build_perception(system, scale, own, device=model.device_of_words)
    version = "untrained" if untrained else _version(home, encoders_key(system, scale, own))
    return Parts(recipe, scale, seeing, model.eval(), tokenizer, prompts, version)


def _version(folder: Path, encoders: str) -> str:
    """Short identity of trained adapters and of the encoders they run with."""
    digest = hashlib.sha256(encoders.encode())
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]
