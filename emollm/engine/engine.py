"""The engine as a backend uses it: prompts as embeddings in, text or scores of labels out, from any number of threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from emollm.engine.again import Again
from emollm.engine.choose import Chosen, choose
from emollm.engine.grammar import Grammars
from emollm.engine.jobs import Prompt, Scoring, Writing
from emollm.engine.prefixes import Owner
from emollm.engine.quoting import Quoting
from emollm.engine.sampler import Leaning
from emollm.engine.scheduler import Scheduler
from emollm.engine.settings import EngineSettings
from emollm.engine.stream import Stream
from emollm.engine.text import Speech
from emollm.values import Sampling


class Engine:
    """A core with its scheduler, for one tokenizer.

    Args:
        causal: A merged language model of transformers.
        tokenizer: Its fast tokenizer.
        end_id: The token that ends a reply.
        settings: Choices and ceilings.
        folder: Where exports are kept; the user's cache folder if None.
        chosen: A core to use instead of choosing one.

    Raises:
        BackendError: If what was asked for cannot be had.
    """

    def __init__(
        self,
        causal: Any,
        tokenizer: Any,
        end_id: int,
        settings: EngineSettings | None = None,
        *,
        folder: Path | None = None,
        chosen: Chosen | None = None,
    ) -> None:
        self.settings = settings or EngineSettings()
        self.chosen = chosen or choose(causal, self.settings, folder)
        self.scheduler = Scheduler(self.chosen.core, self.settings)
        self._tokenizer = tokenizer
        self._end_id = end_id
        self._width = causal.config.hidden_size
        self._grammars = Grammars(tokenizer, causal.config.vocab_size, end_id)

    @property
    def precision(self) -> str:
        """Of the weights that write: "float32", "int8", ..."""
        return self.chosen.core.precision

    def write(
        self,
        embeds: Tensor,
        owners: list[Owner],
        sampling: Sampling,
        *,
        due: float | None = None,
        since: float | None = None,
        cancelled: Callable[[], bool] | None = None,
        earlier: Sequence[str] = (),
        said: Sequence[str] = (),
    ) -> Stream:
        """Begin a reply.

        Args:
            embeds: [L, D_llm].
            owners: L; positions of equal owners and equal pasts are read once.
            sampling: How to draw; its `deadline_s` is the caller's matter.
            due: When the reply must be complete, on the monotonic clock.
            since: When the prompt began to be put together; what was forgotten after that is not kept. Now if None.
            cancelled: Asked at every step whether the reader is gone.
            earlier: Answers whose sentences had better not be said again.
            said: Words of clips, to be quoted as they are.

        Raises:
            BackendError: If too many wait (`server_busy`), or the schema cannot be followed.
        """
        matcher = self._grammars.matcher(sampling.schema) if sampling.schema is not None else None
        stream = Stream(cancelled)
        speech = Speech(self._tokenizer, sampling.stop)
        leanings: list[Leaning] = []
        if earlier and matcher is None and sampling.sentence_penalty != 1:
            leanings.append(Again(self._tokenizer, earlier, sampling.sentence_penalty))
        if said and matcher is None:
            leanings.append(Quoting(self._tokenizer, said))
        self.scheduler.submit(Writing(self._prompt(embeds, owners, due, since), stream, sampling, speech, self._end_id, matcher, leanings))
        return stream

    def score(
        self, embeds: Tensor, owners: list[Owner], options: Sequence[Sequence[int]], *, due: float | None = None, since: float | None = None
    ) -> list[float]:
        """Log-probability of each option, token by token, as what follows a prompt [L, D_llm]; waits for the result.

        Raises:
            BackendError: If too many wait, or the core failed.
        """
        job = Scoring(self._prompt(embeds, owners, due, since), options)
        self.scheduler.submit(job)
        return job.future.result()

    def forget(self, digest: str) -> None:
        """Drop all kept prompts that show a clip."""
        self.scheduler.forget(digest)

    def clear(self) -> None:
        """Drop all kept prompts."""
        self.scheduler.clear()

    def _prompt(self, embeds: Tensor, owners: list[Owner], due: float | None, since: float | None) -> Prompt:
        """A prompt that cannot upset a step it shares with others."""
        if embeds.shape != (len(owners), self._width) or not owners:
            raise ValueError(f"embeddings {tuple(embeds.shape)} do not fit {len(owners)} owners and a width of {self._width}")
        return Prompt(embeds, owners, due, time.monotonic() if since is None else since)
