"""emollm: chat about the emotions a clip shows in face, voice and words.

Nothing heavy is imported here: torch, transformers and gradio load when a model, an encoder or the app is first used.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from emollm.errors import EmollmError
from emollm.values import Analysis, Clip, Message, Sampling

if TYPE_CHECKING:
    from pathlib import Path

__version__ = "0.1.0"
__all__ = ["Analysis", "Clip", "EmollmError", "Message", "Sampling", "__version__", "analyze", "load"]


def load(system: str = "emollm", *, scale: str = "mini", threads: int | None = None, **options: object):  # type: ignore[no-untyped-def]
    """Build the chat backend of a system, ready to analyse clips and reply.

    Args:
        system: Name of a recipe (``emollm systems`` lists them), a path to a ``.toml``, or ``echo``, which needs no weights and repeats.
        scale: ``toy``, ``mini`` or ``full``.
        threads: CPU threads; torch's choice if None.
        **options: Passed to :class:`emollm.chat.local.LocalBackend`.

    Raises:
        RecipeError: If the recipe is unknown or faulty.
        CheckpointError: If weights are missing.
    """
    if system == "echo":
        from emollm.chat.echo import EchoBackend

        return EchoBackend()
    from emollm.chat.local import LocalBackend

    return LocalBackend.from_recipe(system, scale=scale, threads=threads, **options)  # type: ignore[arg-type]


def analyze(path: str | Path, *, system: str = "emollm", scale: str = "mini", fps: float = 8.0) -> Analysis:
    """Measure faces, voice and words of a clip, without the language model. The encoders are loaded once and kept.

    Args:
        path: A video, sound or picture.
        system: Recipe whose encoders measure.
        scale: ``toy``, ``mini`` or ``full``.
        fps: Frames looked at each second.

    Returns:
        Everything measured; `emollm.exports.tables` makes data frames of it.

    Raises:
        MediaError: If the file cannot be read.
        CheckpointError: If weights are missing; the message names the command that fetches them.
    """
    from pathlib import Path

    return _perception(system, scale, fps).analyze(Path(path))


@cache
def _perception(system: str, scale: str, fps: float):  # type: ignore[no-untyped-def]
    from emollm.build import measuring_maker

    return measuring_maker(system, scale, fps)()
