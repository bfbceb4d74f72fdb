"""What could be said to the person in a clip, and what could be done for them; beside it what would miss them.

Each sentence names the feeling that was read, so that a small model's answer hangs on its own reading and not on a habit.
"""

from __future__ import annotations

import random

from emollm.data.prompts import pools

VAGUE = (
    '"I am here if you want to talk."',
    '"I am so sorry. I am here if you want to talk."',
    '"I am so glad you told me. I am here if you want to talk."',
    '"That must hurt. I am sorry you have to go through this."',
    '"I am sorry you are so sad. I am here if you want to talk."',
)
"""Seen of our own models, about anybody: what "worse" most often is."""
VAGUE_SHARE = 0.5
_ALIKE = ({"neutral", "calm", "bored"}, {"disgust", "contempt"})


def reply(label: str, verb: str, rng: random.Random) -> str:
    """A sentence to say.

    Args:
        label: What is shown.
        verb: "look" where there is a face, "sound" where there is only a voice.
        rng: Draws.
    """
    return str(rng.choice(pools("dialogue")["reply"][label])).format(verb=verb)


def missing(label: str, verb: str, rng: random.Random) -> str:
    """A sentence that does not meet them: another feeling's, or one for anybody."""
    if rng.random() < VAGUE_SHARE:
        return rng.choice(VAGUE)
    kin = next((kin for kin in _ALIKE if label in kin), {label})
    return reply(rng.choice([other for other in pools("dialogue")["reply"] if other not in kin]), verb, rng)


def help_for(label: str, rng: random.Random) -> str:
    """What somebody could do for them."""
    return str(rng.choice(pools("dialogue")["help"][label]))
