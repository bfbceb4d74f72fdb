"""What somebody said in a clip, quoted as it was said: a small model drifts from the words it copies.

Once a quotation has begun as the clip's words or one of their sentences do, the token that goes on with them is made a thousand times
likelier; after their last one, the closing mark. Whether to quote, what, and after which sentence to end is the model's own choice.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

FACTOR = 1000.0
_SENTENCE = re.compile(r"(?<=[.!?…])\s+")
_WORDS = 2  # that must be the clip's before a quotation is taken for one of it
_WORDS_FIRST = 4  # where the answer begins with it: then it may be something to say to them


class Quoting:
    """How a quotation of a clip would go on.

    Args:
        tokenizer: Of the language model.
        said: What is said in each clip.
    """

    def __init__(self, tokenizer: Any, said: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self.weight = math.log(FACTOR)
        self._texts = [text[at:] for text in said for at in (0, *(found.end() for found in _SENTENCE.finditer(text)))]

    def following(self, written: Sequence[int]) -> set[int]:
        """Tokens that go on with the words of a clip where a quotation of them is open; none where a sentence ends that is not the last."""
        before, mark, quoted = str(self._tokenizer.decode([*written])).rpartition('"')
        least = _WORDS if before.strip() else _WORDS_FIRST
        if not mark or before.count('"') % 2 or len(quoted.split()) < least:
            return set()
        rests = {text[len(quoted) :] for text in self._texts if text.startswith(quoted)}
        if rests - {""} and quoted.rstrip().endswith((".", "!", "?", "…")):
            return set()
        return {self._tokenizer(rest or '"', add_special_tokens=False)["input_ids"][0] for rest in rests}
