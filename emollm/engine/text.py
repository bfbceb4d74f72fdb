"""Tokens to text as they come: no half characters, and nothing that may be the beginning of a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

HALF = "\N{REPLACEMENT CHARACTER}"


class Speech:
    """The text of one reply.

    Attributes:
        stopped: A stop string was met; it and what follows are left out.
    """

    def __init__(self, tokenizer: Any, stops: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stops = [s for s in stops if s]
        self._tokens: list[int] = []
        self._from = self._told = 0  # text of tokens before `_told` was given; decoding begins at `_from`, for spaces need a neighbour
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """Take a token; returns what can be said now."""
        self._tokens.append(token)
        before, after = self._decoded(self._from, self._told), self._decoded(self._from, None)
        if len(after) <= len(before) or after.endswith(HALF):
            return ""
        self._from, self._told = self._told, len(self._tokens)
        return self._past_stops(after[len(before) :])

    def rest(self) -> str:
        """What was held back, at the end."""
        if self.stopped:
            return ""
        before, after = self._decoded(self._from, self._told), self._decoded(self._from, None)
        self._told = len(self._tokens)
        said = self._past_stops(after[len(before) :])
        if not self.stopped:
            said, self._held = said + self._held, ""
        return said

    def _decoded(self, first: int, last: int | None) -> str:
        return str(self._tokenizer.decode(self._tokens[first:last], skip_special_tokens=True))

    def _past_stops(self, new: str) -> str:
        self._held += new
        met = [at for s in self._stops if (at := self._held.find(s)) >= 0]
        if met:
            said, self._held, self.stopped = self._held[: min(met)], "", True
            return said
        safe = len(self._held)
        longest = max((len(s) for s in self._stops), default=0)
        for n in range(1, min(longest, len(self._held) + 1)):
            if any(s.startswith(self._held[-n:]) for s in self._stops):
                safe = len(self._held) - n
        said, self._held = self._held[:safe], self._held[safe:]
        return said


def token_bytes(tokenizer: Any, token: int) -> list[int]:
    """The bytes that a token stands for; some tokens are parts of a letter and have no text of their own."""
    name = str(tokenizer.convert_ids_to_tokens(token))
    if "ByteLevel" in repr(tokenizer.backend_tokenizer.decoder) and all(letter in _letters() for letter in name):
        return [_letters()[letter] for letter in name]
    return list(str(tokenizer.decode([token])).encode())


@cache
def _letters() -> dict[str, int]:
    """The letters by which tokenizers of bytes write bytes: printable ones stand for themselves, the others are moved behind 255."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    found = {chr(byte): byte for byte in plain}
    return found | {chr(256 + n): byte for n, byte in enumerate(sorted(set(range(256)) - set(plain)))}
