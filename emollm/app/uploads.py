"""gradio's file component without the empty temporary file that it leaves behind for every upload."""

from __future__ import annotations

from typing import Any

import gradio as gr


def uploads(**look: Any) -> gr.File:
    """A place for files whose events get the paths of what was uploaded, a list of them where several may come.

    gradio makes components anew from their class when a language changes their texts, and takes a subclass for a component with a page of
    its own; so it is the class that is mended, for this whole process.
    """
    setattr(gr.File, "preprocess", _paths)  # noqa: B010
    return gr.File(**look)


def _paths(_self: gr.File, payload: Any) -> list[str] | str | None:
    """gradio has checked by now that the files lie in its own folder."""
    if payload is None:
        return None
    given = getattr(payload, "root", payload)
    return [one.path for one in given] if isinstance(given, list) else str(given.path)
