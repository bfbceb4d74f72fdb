"""The error family: what a user can cause, said so that the user can mend it.

A message says what was asked, what was found and what to do. `code` is stable and is what the server reports.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EmollmError(Exception):
    """Anything a user or a user's file can cause; the command line turns it into one line and exit code 2."""

    code = "invalid_request"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class RecipeError(EmollmError):
    """A recipe is unknown or has faults; the message lists every fault at once."""

    code = "recipe_invalid"


class MediaError(EmollmError):
    """A clip cannot be read. Codes: media_unreadable, unsupported_media, media_too_long, media_too_large, image_too_large, not_found,
    and of a decoding process decoder_failed, decode_timeout.
    """

    code = "media_unreadable"


class DataError(EmollmError):
    """A data folder, mixture or label set is not as it should be."""

    code = "data_invalid"


class CheckpointError(EmollmError):
    """Weights are missing, incomplete or of another shape."""

    code = "weights_unavailable"


class BackendError(EmollmError):
    """A chat backend refused or failed a request."""

    code = "backend_failed"


class NeedsExtraError(EmollmError):
    """An optional package is needed; the message names the extra to install."""

    code = "needs_extra"


def unknown_name(kind: str, asked: str, known: Iterable[str]) -> str:
    """Sentence for an unknown name: what was asked, what exists, and the nearest match."""
    names = sorted(known)
    near = difflib.get_close_matches(asked, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {asked!r}; known: {', '.join(names) or 'none'}.{hint}"
