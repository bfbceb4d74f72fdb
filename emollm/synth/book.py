"""The texts and tables synthetic people are made from; the only place that opens instruct_data/synth."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

from emollm import catalog


@cache
def book(name: str) -> dict[str, Any]:
    """The tables of one file."""
    return tomllib.loads((catalog.folder("instruct_data") / "synth" / f"{name}.toml").read_text("utf-8"))
