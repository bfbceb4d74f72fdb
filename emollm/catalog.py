"""Where the shipped data files are: beside the package in a checkout, inside it in a wheel.

Never looked up along the import path, where an editable install may leave a stale copy.
"""

from __future__ import annotations

from pathlib import Path

from emollm.errors import RecipeError, unknown_name

_HERE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The data folder `adapters`, `instruct_data` or `eval`."""
    inside = _HERE / "catalog_data" / name
    return inside if inside.is_dir() else _HERE.parent / name


TEMPLATE = "template"  # a file to copy, not an entry


def names(kind: str) -> list[str]:
    """Names of all TOML files of a folder, in kebab-case, but for its template."""
    return sorted(p.stem.replace("_", "-") for p in folder(kind).glob("*.toml") if p.stem != TEMPLATE)


def find(kind: str, name: str) -> Path:
    """The TOML file of a name, or the file itself where a path to one is given.

    Raises:
        RecipeError: If there is no such name; the message lists the known ones.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if path.is_file():
            return path
        raise RecipeError(f"no file at {name}. Give a path to a .toml file or one of the names: {', '.join(names(kind))}.")
    path = folder(kind) / f"{name.replace('-', '_')}.toml"
    if not path.is_file():
        raise RecipeError(unknown_name(kind, name, names(kind)))
    return path
