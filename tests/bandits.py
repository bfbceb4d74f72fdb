"""Questions with a fixed set of answers, and a policy that is one row of logits a question: synthetic rewards, exact chances."""

from __future__ import annotations

import numpy as np
import torch

from emollm.training.grpo.loop import Answers

CHOICES = 8


class Bandits:
    """Some questions are known already, some can be learned, and some reward nothing whatever is said."""

    def __init__(self, known=40, learnable=20, hopeless=20, seed=0):
        rng = np.random.default_rng(seed)
        self.ids = [f"q{k}" for k in range(known + learnable + hopeless)]
        self.right = {name: int(rng.integers(CHOICES)) for name in self.ids}
        self.hopeless = set(self.ids[known + learnable :])
        start = torch.zeros(len(self.ids), CHOICES)
        for k in range(known):
            start[k, self.right[self.ids[k]]] = 9.0
        self.logits = torch.nn.Parameter(start)
        self.before = start.clone()
        self.rollouts = 0

    def parameters(self):
        return [self.logits]

    def _rows(self, ids):
        return torch.tensor([self.ids.index(i) for i in ids])

    def answer(self, ids, group):
        self.rollouts += len(ids) * group
        drawn = torch.multinomial(self.logits[self._rows(ids)].detach().softmax(-1), group, replacement=True)
        return [Answers(i, tuple(str(int(c)) for c in row), row) for i, row in zip(ids, drawn, strict=True)]

    def _chances(self, answers, logits):
        rows = self._rows([a.id for a in answers])
        picked = torch.stack([a.tokens for a in answers])
        return logits[rows].log_softmax(-1).gather(1, picked).view(-1, 1)

    def chances(self, answers):
        found = self._chances(answers, self.logits)
        return found, torch.ones_like(found)

    def reference(self, answers):
        return self._chances(answers, self.before)

    def reward(self, name, text):
        return float(name not in self.hopeless and int(text) == self.right[name])

    def skill(self):
        """Mean chance of the right answer over questions that can be answered."""
        shares = self.logits.detach().softmax(-1)
        return float(np.mean([float(shares[k, self.right[i]]) for k, i in enumerate(self.ids) if i not in self.hopeless]))
