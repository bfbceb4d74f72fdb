"""Where the features of a training run are kept: systems over the same encoders share what was encoded once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from emollm.build import DEFAULT, DEFAULT_SCALE, encoders_key
from emollm.recipe import load_recipe

ABOUT = "encoders.json"


def store_for(root: Path, system: str, scale: str, own: Path | None = None) -> tuple[Path, str]:
    """The folder under `root` for a system's features, and the system whose encoders fill it.

    A folder that was filled for a system with the same backbones and more serves this one as well.
    """
    wanted = _backbones(system, scale)
    if wanted and own is None:
        for about in sorted(root.glob(f"*/{ABOUT}")):
            found = json.loads(about.read_text("utf-8"))
            if found["scale"] == scale and found["measuring"] == _measuring() and wanted.items() <= found["backbones"].items():
                return about.parent, str(found["system"])
    folder = root / encoders_key(system, scale, own)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"system": system, "scale": scale, "measuring": _measuring(), "backbones": wanted}
    (folder / ABOUT).write_text(json.dumps(facts, indent=1), "utf-8")
    return folder, system


def _measuring() -> str:
    return encoders_key(DEFAULT, DEFAULT_SCALE)


def _backbones(system: str, scale: str) -> dict[str, Any]:
    return {name: spec.model_dump() for name, spec in load_recipe(system).at(scale).backbones.items()}
