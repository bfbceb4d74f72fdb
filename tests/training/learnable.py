"""A stage and samples that a toy learns in seconds: which of two words belongs to which of two tokens."""

import torch

from emollm.data.conversation import ClipView, Turn
from emollm.data.tasks import Sample
from emollm.recipe import Stage

STAGE = Stage(name="s", method="sft", train=("llm.*lora*", "projectors.*"), learning_rate=1e-2, epochs=25, batch_tokens=400)


def samples(count=24, *, wrong=False):
    made = []
    for i in range(count):
        label = ("happy", "sad")[(i + wrong) % 2]
        token = torch.zeros(1, 256)
        token[0, i % 2] = 8.0
        view = ClipView("image", 0.0, {"face": 1})
        turns = (Turn("user", "?", clip=view), Turn("assistant", label, learn=True))
        made.append(Sample(turns, {"face": token}, task=("one", "other")[i % 2]))
    return made
