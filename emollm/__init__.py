"""emollm: chat about the emotions a clip shows in face, voice and words.

Nothing heavy is imported here: torch, transformers and gradio load when a model, an encoder or the app is first used.
"""

from emollm.errors import EmollmError
from emollm.values import Analysis, Clip, Message, Sampling

__version__ = "0.1.0"
__all__ = ["Analysis", "Clip", "EmollmError", "Message", "Sampling", "__version__", "load"]


def load(system: str = "emollm", *, scale: str = "mini", **options: object):  # type: ignore[no-untyped-def]
    """Build the chat backend of a system, ready to analyse clips and reply.

    Args:
        system: Name of a recipe (``emollm systems`` lists them) or a path to a ``.toml``.
        scale: ``toy``, ``mini`` or ``full``.
        **options: Passed to :class:`emollm.chat.local.LocalBackend`.

    Raises:
        RecipeError: If the recipe is unknown or faulty.
        CheckpointError: If weights are missing.
    """
    from emollm.chat.local import LocalBackend

    return LocalBackend.from_recipe(system, scale=scale, **options)  # type: ignore[arg-type]
