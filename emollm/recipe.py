"""A system as frozen values: streams, scales and training stages, read from TOML, every fault reported at once.

It knows names and numbers only, no class and no weight.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
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
    """How a stream's features become tokens: kind is a name in `emollm.projectors.table`."""

    kind: str
    tokens: int = Field(ge=1, le=256)  # budget K: the most tokens a clip may use
    hidden: int = Field(default=256, ge=8)


class Stream(_Frozen):
    """One way of looking at a clip. Either `encoder` reads a view of it, or `fuse` names other streams to join."""

    name: str
    width: int = Field(ge=1)  # D_enc of the features
    fuse: tuple[str, ...] = ()
    fuser: str | None = None
    projector: ProjectorSpec


class LanguageModel(_Frozen):
    """The language model of one scale: a weights entry, or a tiny configuration for tests."""

    weights: str | None = None
    tokenizer: str | None = None  # a weights entry whose tokenizer a random model borrows
    config: dict[str, Any] = {}
    lora_rank: int = Field(default=16, ge=0)
    lora_alpha: int = Field(default=32, ge=1)
    lora_dropout: float = Field(default=0.05, ge=0, lt=1)


class ScaleSpec(_Frozen):
    """What a scale puts into the streams: the language model and the weights of each encoder."""

    llm: LanguageModel
    encoders: dict[str, str]  # stream, or a name in MEASURED -> weights entry, "ours" for what is shipped in adapters/weights, or "random"
    shipped: str | None = None  # folder in adapters/weights with trained weights


class Stage(_Frozen):
    """One step of the curriculum."""

    name: str
    method: Literal["anchor", "sft"]
    data: str | None = None  # mixture in instruct_data
    train: tuple[str, ...]  # parameter patterns; one that matches nothing is a fault
    learning_rate: float = Field(gt=0)
    epochs: float = Field(gt=0)
    batch_tokens: int = Field(default=2048, ge=64)
    warmup: float = Field(default=0.05, ge=0, lt=1)


class Recipe(_Frozen):
    """A whole system."""

    name: str
    source: str
    summary: str
    system_prompt: str
    streams: tuple[Stream, ...]
    scales: dict[Scale, ScaleSpec]
    stages: tuple[Stage, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        faults = []
        names = [s.name for s in self.streams]
        faults += [f"stream {n!r} is named twice" for n in sorted({n for n in names if names.count(n) > 1})]
        for i, stream in enumerate(self.streams):
            if bool(stream.fuse) != (stream.fuser is not None):
                faults.append(f"stream {stream.name!r}: `fuse` and `fuser` belong together")
            faults += [f"stream {stream.name!r} fuses {unknown_name('stream', n, names[:i])}" for n in stream.fuse if n not in names[:i]]
        for scale, spec in self.scales.items():
            faults += [
                f"scale {scale!r}: encoder for {unknown_name('stream', n, names)}" for n in spec.encoders if n not in {*names, *MEASURED}
            ]
            faults += [
                f"scale {scale!r} names no encoder for stream {s.name!r}"
                for s in self.streams
                if not s.fuse and s.name not in spec.encoders
            ]
        if faults:
            raise ValueError("; ".join(faults))
        return self

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
    """Read a recipe by name, or by a path to a `.toml`.

    Raises:
        RecipeError: Unknown name or faulty file; all faults are in the message.
    """
    return parse_recipe(catalog.find("adapters", name))


def parse_recipe(path: Path) -> Recipe:
    """Read and check one recipe file."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path.name} is not valid TOML: {error}.") from None
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors()]
        raise RecipeError(f"{path.name} has {len(faults)} fault(s): " + "; ".join(faults)) from None
