"""A mixture file over unified samples: which corpora, asked what, shown how, with which shares; checked when it is loaded.

It knows the words of the files and reads no sample; that is `unified_mixture`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emollm import catalog
from emollm.data import schema
from emollm.data.asking import Kind
from emollm.errors import DataError

EVERY = "*"  # as a corpus: all that the files hold
Input = Literal["picture", "sound", "words"]
INPUTS: tuple[Input, ...] = ("picture", "sound", "words")


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UnifiedSource(_Spec):
    """One ingredient: samples of some corpora, as what they are asked, and its share of all."""

    corpora: tuple[str, ...] = Field(min_length=1)
    asks: dict[Kind, float] | tuple[Kind, ...] = ()  # kind -> share inside the source; a list shares alike; that of the mixture if empty
    weight: float | None = Field(default=None, gt=0)  # None in all sources: proportional to their sizes
    inputs: tuple[Input, ...] = INPUTS  # what is shown of a sample
    optional: bool = False  # where its corpora are not there, the others share its weight
    reader: str = ""  # which reader makes it, for the message when it is missing
    name: str = ""  # for logs and states; its corpora if empty

    @property
    def title(self) -> str:
        """What it is called."""
        return self.name or "+".join(self.corpora)


class UnifiedSpec(_Spec):
    """A mixture file."""

    kind: Literal["unified"]
    about: str
    source: str  # where the weights are from
    samples: int = Field(ge=1)  # drawn in one pass of a stage
    asks: dict[Kind, float] | tuple[Kind, ...] = ()
    inputs: dict[Kind, tuple[Input, ...]] = {}  # of one kind of question, where it is to be answered from less
    sources: tuple[UnifiedSource, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> UnifiedSpec:
        faults = [f"source {s.title!r} says nothing of what it is asked" for s in self.sources if not (s.asks or self.asks)]
        weighed = [s.weight is not None for s in self.sources]
        if any(weighed) and not all(weighed):
            faults.append("some sources have a weight and some have none; weigh all, or none for shares by size")
        keys = [self.key(s) for s in self.sources]
        faults += [f"source {key!r} is there twice" for key in sorted({k for k in keys if keys.count(k) > 1})]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def asked(self, source: UnifiedSource) -> dict[Kind, float]:
        """Kinds of a source with their shares, which sum to one."""
        found = source.asks or self.asks
        shares = dict(found) if isinstance(found, Mapping) else dict.fromkeys(found, 1.0)
        whole = sum(shares.values())
        return {kind: share / whole for kind, share in shares.items()}

    def key(self, source: UnifiedSource) -> str:
        """A source's name, with what it is asked where another source has the same corpora."""
        alike = sum(s.title == source.title for s in self.sources) > 1
        return f"{source.title} {'+'.join(self.asked(source))}" if alike else source.title


def load_spec(name: str) -> UnifiedSpec:
    """A mixture over unified samples by name or path.

    Raises:
        DataError: If the file is faulty, or is a mixture of another kind.
    """
    path = catalog.find("instruct_data", name)
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        if "kind" not in values:
            raise DataError(f"{path.name} is a mixture over a folder with index.jsonl; train with --data, or name a unified mixture.")
        return UnifiedSpec.model_validate(values)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path.name} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise DataError(f"{path.name} is faulty: {'; '.join(schema.told(error))}") from None
