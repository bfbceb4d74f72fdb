"""Replies that must be JSON of a schema: which tokens may come next, by llguidance."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emollm.errors import BackendError

ANY_OBJECT = '{"type": "object"}'  # what OpenAI calls json_object
COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}  # a small model can go on with blanks for ever


class Grammars:
    """Makes matchers for one tokenizer.

    Args:
        tokenizer: A fast tokenizer of transformers.
        vocabulary: Number of logits, which may be more than there are tokens.
        end_id: The token that ends a reply.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, end_id: int) -> None:
        self._made: Any = None
        self._from = (tokenizer, vocabulary, end_id)
        self._lock = threading.Lock()

    def matcher(self, schema: str) -> Matcher:
        """A matcher for a JSON schema, given as JSON text.

        Raises:
            BackendError: If the schema cannot be read or followed.
        """
        try:
            from llguidance import LLMatcher
        except ImportError as error:
            raise BackendError(
                "answers of a JSON schema need the package 'llguidance': pip install llguidance.", code="needs_extra"
            ) from error
        try:
            wanted = json.loads(schema)
        except ValueError as error:
            raise BackendError(f"the JSON schema is no JSON: {error}.", code="invalid_request") from None
        if not isinstance(wanted, dict):
            raise BackendError("the JSON schema must be an object.", code="invalid_request")
        grammar = LLMatcher.grammar_from_json_schema({**wanted, "x-guidance": COMPACT})
        fault = LLMatcher.validate_grammar(grammar)
        if fault:
            raise BackendError(f"the JSON schema cannot be followed: {str(fault).splitlines()[0][:300]}", code="invalid_request")
        return Matcher(LLMatcher(self._tokens(), grammar), self._from[1])

    def _tokens(self) -> Any:
        """The tokenizer as llguidance wants it; made once, which takes a second for a large vocabulary."""
        with self._lock:
            if self._made is None:
                from llguidance.hf import from_tokenizer

                tokenizer, vocabulary, end_id = self._from
                self._made = from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=end_id)
            return self._made


class Matcher:
    """Follows one reply."""

    def __init__(self, inner: Any, vocabulary: int) -> None:
        from llguidance.numpy import allocate_token_bitmask

        self._inner = inner
        self._vocabulary = vocabulary
        self._bits = allocate_token_bitmask(1, vocabulary)

    def allowed(self) -> Tensor:
        """[V] bool: what may come next.

        Raises:
            BackendError: If nothing may.
        """
        from llguidance.numpy import fill_next_token_bitmask

        fill_next_token_bitmask(self._inner, self._bits, 0)
        if self._inner.is_error():
            raise BackendError(f"the answer cannot follow its schema: {self._inner.get_error()[:300]}", code="backend_failed")
        bits = np.unpackbits(self._bits.view(np.uint8)[0], bitorder="little")[: self._vocabulary]
        return torch.from_numpy(bits.astype(bool))

    def take(self, token: int) -> None:
        """Say which token came."""
        self._inner.consume_token(token)

    @property
    def done(self) -> bool:
        """Nothing can follow but the end."""
        return bool(self._inner.is_stopped())
