"""A system as frozen values: streams, scales and training stages, read from TOML, every fault reported at once.

It knows names and numbers only, no class and no weight.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emollm import catalog
from emollm.errors import RecipeError, unknown_name

Scale = Literal["toy", "mini", "full"]


MEASURED = ("units",)  # encoders whose results are measurements only; the language model gets no tokens of them


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProjectorSpec(_Frozen):
    """How a stream's features become tokens: kind is a name in `emollm.projectors.PROJECTORS`."""

    kind: str
    tokens: int = Field(ge=1, le=256)  # budget K: the most tokens a clip may use
    hidden: int = Field(default=256, ge=8)
    options: dict[str, Any] = {}  # of this kind alone


class Stream(_Frozen):
    """One way of looking at a clip. Either an encoder reads a view of it, or `fuse` names other streams to join."""

    name: str
    width: int = Field(default=0, ge=0)  # D_enc of the features, where it is the same at all scales
    source: str | None = None  # encoder that gives the features; the stream's own name if None
    take: str | None = None  # which of the encoder's outputs
    frames: int = Field(default=0, ge=0)  # 0: rows are stretches of like expression; 1: one moment; more: pictures spread evenly
    marks: bool = False  # the text says when each row begins
    fuse: tuple[str, ...] = ()
    fuser: str | None = None
    options: dict[str, Any] = {}  # of the fuser
    projector: ProjectorSpec | None = None  # None: only other streams read it

    @property
    def feature(self) -> str:
        """Name of the encoder's output in `Analysis.features`."""
        return f"{self.source or self.name}.{self.take}" if self.take else (self.source or self.name)


class LanguageModel(_Frozen):
    """The language model of one scale: a weights entry, or a configuration without weights."""

    weights: str | None = None
    tokenizer: str | None = None  # a weights entry whose tokenizer a random model borrows
    config: dict[str, Any] = {}
    lora_rank: int = Field(default=16, ge=0)
    lora_alpha: int = Field(default=32, ge=1)
    lora_dropout: float = Field(default=0.05, ge=0, lt=1)
    lora_targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class BackboneSpec(_Frozen):
    """A frozen encoder: kind is a name in `emollm.encoders.base.BACKBONES`."""

    kind: str
    weights: str | None = None  # a weights entry; random weights if None
    options: dict[str, Any] = {}


class ScaleSpec(_Frozen):
    """What a scale puts into the streams: the language model and the weights of each encoder."""

    llm: LanguageModel
    # Source of a stream, or a name in MEASURED -> weights entry, "ours" for what is shipped in adapters/weights, "random", or a backbone.
    encoders: dict[str, str | BackboneSpec]
    widths: dict[str, int] = {}  # stream -> D_enc at this scale
    options: dict[str, dict[str, Any]] = {}  # stream -> options of its fuser at this scale
    shipped: str | None = None  # folder in adapters/weights with trained weights

    @property
    def backbones(self) -> dict[str, BackboneSpec]:
        """Encoders beyond the measuring layer."""
        return {name: spec for name, spec in self.encoders.items() if isinstance(spec, BackboneSpec)}


class Reinforcement(_Frozen):
    """How a stage of method "grpo" rewards and weighs."""

    reward: Literal["label", "meaning"] = "label"  # the label is named; or the answer begins as those to what was meant do
    utility: Literal["plain", "released", "lifecycle"] = "lifecycle"
    questions: int = Field(default=4, ge=1)  # of one step
    group: int = Field(default=8, ge=2)  # answers to each
    answer_tokens: int = Field(default=6, ge=1)
    divergence: float = Field(default=0.04, ge=0)


class Stage(_Frozen):
    """One step of the curriculum."""

    name: str
    method: Literal["anchor", "sft", "grpo"]
    data: str | None = None  # mixture in instruct_data, over a folder with index.jsonl
    unified: str | None = None  # mixture in instruct_data over unified samples, in the place of `data` when those are given
    train: tuple[str, ...]  # parameter patterns; one that matches nothing is a fault
    learning_rate: float = Field(gt=0)
    epochs: float = Field(gt=0)
    batch_tokens: int = Field(default=2048, ge=64)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    accumulate: int = Field(default=1, ge=1)  # batches to a step
    validate_with: float = Field(default=0.0, ge=0, le=1)  # share of the mixture's counts drawn from val to watch; 0 watches nothing
    patience: int = Field(default=0, ge=0)  # checks without a lower loss after which the stage ends with its best weights; 0 never
    reinforce: Reinforcement | None = None  # of method "grpo"


class Recipe(_Frozen):
    """A whole system."""

    name: str
    source: str
    summary: str
    system_prompt: str
    streams: tuple[Stream, ...]
    scales: dict[Scale, ScaleSpec]
    stages: tuple[Stage, ...]
    layout: tuple[str, ...] = ()  # lines of a clip's block, each with at most one {stream} or {words}; our own layout if empty
    variants: dict[str, dict[str, Any]] = {}  # name of an ablation -> dotted place in this file -> value; false takes a stream out
    published: dict[str, Any] = {}  # what the source reports, for the table of systems
    measured: dict[str, str] = {}  # what we measured, for the same table
    differs: tuple[str, ...] = ()  # from the source, and why

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        faults = []
        names = [s.name for s in self.streams]
        faults += [f"stream {n!r} is named twice" for n in sorted({n for n in names if names.count(n) > 1})]
        for i, stream in enumerate(self.streams):
            if bool(stream.fuse) != (stream.fuser is not None):
                faults.append(f"stream {stream.name!r}: `fuse` and `fuser` belong together")
            faults += [f"stream {stream.name!r} fuses {unknown_name('stream', n, names[:i])}" for n in stream.fuse if n not in names[:i]]
            if stream.projector is None and not any(stream.name in other.fuse for other in self.streams):
                faults.append(f"stream {stream.name!r} has no projector and no other stream reads it")
        sources = {s.source or s.name for s in self.streams if not s.fuse}
        for scale, spec in self.scales.items():
            faults += [
                f"scale {scale!r}: encoder for {unknown_name('stream', n, [*names, *sources])}"
                for n in spec.encoders
                if n not in {*names, *sources, *MEASURED}
            ]
            faults += [
                f"scale {scale!r} names no encoder for stream {s.name!r}"
                for s in self.streams
                if not s.fuse and (s.source or s.name) not in spec.encoders
            ]
            faults += [f"scale {scale!r}: width of {unknown_name('stream', n, names)}" for n in spec.widths if n not in names]
            faults += [
                f"scale {scale!r} gives stream {s.name!r} no width" for s in self.streams if not (s.width or spec.widths.get(s.name))
            ]
        for line in self.layout:
            found = re.findall(r"{([^{}]*)}", line)
            if len(found) != 1 or found[0] not in {*(s.name for s in self.streams if s.projector), "words"}:
                faults.append(f"layout line {line!r} must name one stream with a projector, or words, in braces")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def widths(self, scale: str) -> dict[str, int]:
        """Stream -> D_enc of its features at a scale."""
        return {s.name: self.at(scale).widths.get(s.name, s.width) for s in self.streams}

    @property
    def hash(self) -> str:
        """Short identity of all values, for caches and results."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()[:12]

    def at(self, scale: str) -> ScaleSpec:
        """The values of one scale; an unknown one lists the known."""
        for name, spec in self.scales.items():
            if name == scale:
                return spec
        raise RecipeError(f"system {self.name!r}: {unknown_name('scale', scale, self.scales)}")


def load_recipe(name: str) -> Recipe:
    """Read a recipe by name, or by a path to a `.toml`; `name+variant` is the recipe with the overrides of one of its variants.

    Raises:
        RecipeError: Unknown name or faulty file; all faults are in the message.
    """
    if name.endswith(".toml"):
        return parse_recipe(catalog.find("adapters", name))
    plain, *variants = name.split("+")
    return parse_recipe(catalog.find("adapters", plain), variants)


def parse_recipe(path: Path, variants: Sequence[str] = ()) -> Recipe:
    """Read and check one recipe file, with the overrides of variants in their order."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path.name} is not valid TOML: {error}.") from None
    try:
        for variant in variants:
            known = values.get("variants", {})
            if variant not in known:
                raise RecipeError(f"system {values.get('name')!r}: {unknown_name('variant', variant, known)}")
            for place, value in known[variant].items():
                _override(values, place, value)
            values["name"] = f"{values['name']}+{variant}"
        return Recipe.model_validate(values)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors()]
        raise RecipeError(f"{path.name} has {len(faults)} fault(s): " + "; ".join(faults)) from None


def _override(values: dict[str, Any], place: str, value: Any) -> None:
    """Set a dotted place; streams and stages go by their names, `*` stands for all, and false takes a stream out with all that names it."""
    first, *rest = place.split(".")
    if first == "streams" and len(rest) == 1 and value is False:
        gone = rest[0]
        values["streams"] = [s for s in values["streams"] if s["name"] != gone]
        values["layout"] = [line for line in values.get("layout", []) if "{" + gone + "}" not in line]
        for stream in values["streams"]:
            if gone in stream.get("fuse", ()):
                stream["fuse"] = [n for n in stream["fuse"] if n != gone]
        fusing = any(s.get("fuse") for s in values["streams"])
        for stage in values["stages"]:
            stage["train"] = [t for t in stage["train"] if f".{gone}." not in t and (fusing or not t.startswith("fusers."))]
        values["stages"] = [stage for stage in values["stages"] if stage["train"]]
        read = {n for s in values["streams"] for n in s.get("fuse", ())}
        for idle in [s["name"] for s in values["streams"] if "projector" not in s and s["name"] not in read]:
            _override(values, f"streams.{idle}", False)
        used = {s.get("source", s["name"]) for s in values["streams"]}
        for scale in values["scales"].values():
            scale["encoders"] = {n: e for n, e in scale["encoders"].items() if n in used or n in MEASURED}
            scale["widths"] = {n: w for n, w in scale.get("widths", {}).items() if n != gone}
        return
    *path, last = place.split(".")
    spots: list[Any] = [values]
    for part in path:
        # Past a star, members that have no such part are passed over; `options` is there even where nothing is written in it.
        spots = [inner for spot in spots for inner in _inside(spot, part, create=part == "options" or "*" not in path)]
        if not spots:
            raise RecipeError(f"the override of {place!r} finds nothing at {part!r}.")
    for spot in spots:
        spot[last] = value


def _inside(spot: Any, part: str, *, create: bool) -> list[Any]:
    if isinstance(spot, list):
        return [one for one in spot if part in ("*", one.get("name"))]
    if part == "*":
        return list(spot.values())
    if part not in spot and not create:
        return []
    return [spot.setdefault(part, {})]
