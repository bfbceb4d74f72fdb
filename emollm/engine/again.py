"""Sentences of earlier answers, made less likely to be said once more: a small model has its favourites.

A token that would go on with such a sentence word for word loses a factor of its probability. Where the model is sure of its words nothing
changes; where another word is nearly as likely, that one is said. How an answer begins is left alone, for with that small models tell what
they have understood, and so are sentences with figures, which are facts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

_ENDS = (".", "!", "?")


class Again:
    """What an answer would repeat.

    Args:
        tokenizer: Of the language model.
        earlier: Answers that were given before.
        penalty: By how much less likely their sentences are made.
    """

    def __init__(self, tokenizer: Any, earlier: Sequence[str], penalty: float) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}  # texts of tokens, for all that is written is looked at anew with each token
        self.weight = -math.log(penalty)
        self._next: dict[str, set[int]] = defaultdict(set)
        for answer in earlier:
            for sentence in self._sentences(self._ids(f" {answer.strip()}")):
                if not any(letter.isdigit() for letter in self._joined(sentence)):
                    for k, token in enumerate(sentence):
                        self._next[self._joined(sentence[:k])].add(token)

    def following(self, written: Sequence[int]) -> set[int]:
        """Tokens that would go on as a sentence of before did; none at the beginning of the answer."""
        if not written:
            return set()
        return self._next.get(self._joined(self._sentences([*written, None])[-1][:-1]), set())

    def _sentences(self, ids: Sequence[int | None]) -> list[list[Any]]:
        """Tokens cut after each that ends a sentence; the None that stands for a token to come is a part of the last."""
        found: list[list[Any]] = [[]]
        for token in ids:
            found[-1].append(token)
            if token is not None and self._text(token).rstrip(' "').endswith(_ENDS):
                found.append([])
        return [sentence for sentence in found if sentence]

    def _joined(self, ids: Sequence[int]) -> str:
        """Text of tokens; a sentence is the same with and without a space before it."""
        return "".join(self._text(token) for token in ids).lstrip()

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _text(self, token: int) -> str:
        if token not in self._known:
            self._known[token] = str(self._tokenizer.decode([token]))
        return self._known[token]
