"""results.json: how one is written and found, and what each says about the machine and the moment it was made; knows no measure."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emollm import __version__
from emollm.errors import DataError

SEED = 0  # of everything that is drawn: items, orders, resamples; cards with a seed of their own name it
NAME = "results.json"
_PACKAGES = ("torch", "transformers", "numpy", "scikit-learn", "openvino")


def environment() -> dict[str, Any]:
    """Versions, machine, threads, device and date; a package that was not loaded is only named."""
    torch = sys.modules.get("torch")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        **{name: _version(name) for name in _PACKAGES},
        "threads": torch.get_num_threads() if torch is not None else None,
        "device": "cuda" if torch is not None and torch.cuda.is_available() else "cpu",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def write(out: Path, results: Mapping[str, Any], *, seed: int = SEED) -> dict[str, Any]:
    """Write results.json into a folder.

    Args:
        out: Made where it is not there.
        results: What was found.
        seed: Of the card, where it has one.

    Returns:
        What was written: the results with seed, environment and version; the recipe is filled in by `sign`.
    """
    whole = {"recipe_hash": None, **results, "seed": seed, "environment": environment(), "emollm": __version__}
    out.mkdir(parents=True, exist_ok=True)
    rewrite(out, whole)
    return whole


def rewrite(out: Path, results: Mapping[str, Any]) -> None:
    """Replace results.json as it is; the file is whole at any moment."""
    part = out / f"{NAME}.part"
    part.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    part.replace(out / NAME)


def sign(folder: Path, **facts: Any) -> None:
    """Add what only the caller knows, such as the hash of the recipe or the endpoint, to all results in a folder and below it."""
    for home, results in found_in(folder):
        rewrite(home, {**results, **facts})


def found_in(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """(folder, results) of every results.json in a folder or below it.

    Raises:
        DataError: There is none, or one is faulty.
    """
    found = []
    for path in sorted(folder.rglob(NAME)):
        try:
            results = json.loads(path.read_text("utf-8"))
            found.append((path.parent, {**results, "card": results["card"], "headline": results["headline"]}))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise DataError(f"{path} is no file of results: {type(error).__name__} {error}.") from None
    if not found:
        raise DataError(f"no results.json in {folder}. `emollm eval CARD --out {folder}` writes one.")
    return found


def samples_of(folder: Path) -> list[dict[str, Any]]:
    """Rows of samples.jsonl; none where a card keeps no samples."""
    path = folder / "samples.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()] if path.is_file() else []
