"""gradio's file component without the empty temporary file that it leaves behind for every upload."""

from __future__ import annotations

from typing import Any

import gradio as gr


class Uploads(gr.File):
    """Gives events the paths of what was uploaded, a list of them where several may come."""

    def preprocess(self, payload: Any) -> list[str] | str | None:
        """gradio has checked by now that the files lie in its own folder."""
        if payload is None:
            return None
        given = getattr(payload, "root", payload)
        return [one.path for one in given] if isinstance(given, list) else str(given.path)
