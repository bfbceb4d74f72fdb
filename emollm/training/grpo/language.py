"""Our model as a policy of GRPO: groups of answers to questions about clips, and the chances of their tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from emollm.data.collate import pad_features, pad_guides, pad_prompts
from emollm.data.conversation import Encoded, PromptBuilder, Turn
from emollm.model.emotion_model import EmotionModel
from emollm.training.grpo.loop import Answers


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: turns that end with the user's, and the features of their clips."""

    turns: tuple[Turn, ...]
    features: Mapping[str, Tensor]  # stream -> [N, D_enc]


class LanguagePolicy:
    """An EmotionModel whose adapters learn.

    Args:
        model: Adapters are trainable where `requires_grad` says so; what it is now becomes the reference.
        prompts: Lays questions out.
        questions: By id.
        most_tokens: Of one answer.
        temperature: Answers are drawn at.
    """

    def __init__(
        self, model: EmotionModel, prompts: PromptBuilder, questions: Mapping[str, Question], *, most_tokens: int, temperature: float = 1.0
    ) -> None:
        self._model, self._prompts, self._questions = model, prompts, questions
        self._most, self._temperature = most_tokens, temperature
        self._widths = model.recipe.widths(model.config.scale)
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._before = [p.detach().clone() for p in self._parameters]

    def parameters(self) -> list[torch.nn.Parameter]:
        """See Policy."""
        return self._parameters

    def answer(self, ids: Sequence[str], group: int) -> list[Answers]:
        """See Policy. Answers are cut at the end of their turn."""
        self._model.eval()
        asked = [(self._questions[i], self._prompts.build(self._questions[i].turns)) for i in ids for _ in range(group)]
        end = self._prompts.end_id
        with torch.inference_mode():
            rows = self._model.generate(
                **self._inputs(asked, [e for _, e in asked], left=True),
                max_new_tokens=self._most,
                do_sample=True,
                temperature=self._temperature,
                top_k=0,
                top_p=1.0,
                eos_token_id=end,
                pad_token_id=end,
            ).tolist()
        cut = [row[: row.index(end) + 1] if end in row else row for row in rows]
        texts = [self._prompts.words(row) for row in cut]
        return [Answers(i, tuple(texts[k * group : (k + 1) * group]), cut[k * group : (k + 1) * group]) for k, i in enumerate(ids)]

    def chances(self, answers: Sequence[Answers]) -> tuple[Tensor, Tensor]:
        """See Policy."""
        self._model.train()
        return self._read(answers)

    def reference(self, answers: Sequence[Answers]) -> Tensor | None:
        """See Policy: the adapters as they were when the policy was made are put in for one reading."""
        now = [p.detach().clone() for p in self._parameters]
        self._put(self._before)
        try:
            with torch.no_grad():
                return self._read(answers)[0]
        finally:
            self._put(now)

    def _put(self, values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self._parameters, values, strict=True):
                parameter.copy_(value)

    def _read(self, answers: Sequence[Answers]) -> tuple[Tensor, Tensor]:
        rows = [(self._questions[a.id], tokens) for a in answers for tokens in a.tokens]
        laid = []
        for question, tokens in rows:
            asked = self._prompts.build(question.turns)
            count = len(asked.input_ids)
            laid.append(Encoded([*asked.input_ids, *tokens], [*asked.slots, *[-1] * len(tokens)], [*[-100] * count, *tokens], asked.guide))
        inputs = self._inputs(rows, laid, left=False)
        wanted = pad_prompts(laid, self._prompts.end_id)["labels"][:, 1:]
        with torch.autocast("cpu", torch.bfloat16, enabled=not torch.cuda.is_available()):
            hidden = self._model.causal.model(
                inputs_embeds=self._model.embed(inputs["input_ids"], inputs["slots"], inputs["features"], inputs["guide"]),
                attention_mask=inputs["attention_mask"],
            ).last_hidden_state[:, :-1]
            there = wanted != -100
            logits = self._model.causal.lm_head(hidden[there]).float()
        picked = logits.log_softmax(-1).gather(1, wanted[there][:, None])[:, 0]
        longest = int(there.sum(1).max())
        out, mask = picked.new_zeros(len(rows), longest), torch.zeros(len(rows), longest)
        place = there.cumsum(1)[there] - 1
        row = there.nonzero()[:, 0]
        mask[row, place] = 1.0
        return out.index_put((row, place), picked), mask

    def _inputs(self, rows: Sequence[tuple[Question, Any]], laid: Sequence[Encoded], *, left: bool) -> dict[str, Any]:
        features = pad_features([question.features for question, _ in rows], self._model.streams, self._widths)
        padded = pad_prompts(laid, self._prompts.end_id, left=left)
        del padded["labels"]
        return {**padded, "features": features, "guide": pad_guides(laid, self._prompts.end_id)}
