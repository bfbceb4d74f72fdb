"""Name tables of "module:Class" strings, and the one gate for optional packages."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from emollm.errors import NeedsExtraError, RecipeError, unknown_name


def resolve(kind: str, name: str, table: Mapping[str, str]) -> Any:
    """Import the object that `table` registers under `name`; an unknown name lists the known ones."""
    if name not in table:
        raise RecipeError(unknown_name(kind, name, table))
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def need(package: str, *, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise NeedsExtraError(
            f"this needs the package {package!r}, which is not installed ({error}). Install it with: pip install 'emollm[{extra}]'"
        ) from error
