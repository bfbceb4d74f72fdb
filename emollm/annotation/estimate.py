"""What a run would ask a model, and what that would cost, before anything is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from emollm.annotation import prompts
from emollm.annotation.chain import Chain
from emollm.annotation.finding import AgentName
from emollm.annotation.items import Item

LETTERS = 4  # a token, in English; about one and a half in Chinese
# Tokens of what is filled into a prompt; from the local agents' texts on clips of a few seconds, and generous
_FILLED: dict[AgentName, int] = {"visual": 250, "audio": 120, "transcript": 80, "consolidator": 450, "verifier": 700}


@dataclass(frozen=True, slots=True)
class Estimate:
    """Questions and tokens by agent, and the cost of all of them."""

    samples: int  # with something to ask or to measure
    done: int  # finished before
    calls: dict[str, int]
    prompt_tokens: int
    completion_tokens: int  # at most
    cost: float | None  # at most, without retries and clips; None without prices
    learnt: tuple[str, ...]  # agents whose tokens are means of replies on record

    def lines(self) -> list[str]:
        """In words."""
        calls = sum(self.calls.values())
        told = [f"{self.samples} sample(s) to do, {self.done} done before"]
        if not calls:
            return [*told, "no question to a model: the local agents cost nothing"]
        per = ", ".join(f"{name} {n}" for name, n in self.calls.items())
        told.append(f"questions to the model: {calls} ({per}), fewer where a clip has no face, no voice or no words")
        basis = f"means of replies on record for {', '.join(self.learnt)}" if self.learnt else "counted from the prompts, 4 letters a token"
        told.append(f"tokens: about {self.prompt_tokens} in, at most {self.completion_tokens} out ({basis}; clips sent along not counted)")
        told.append("cost: unknown; give --price-in and --price-out" if self.cost is None else f"cost: at most about {self.cost:.4f}")
        return told


def estimate(chain: Chain, items: Sequence[Item]) -> Estimate:
    """Count what is not on record. Clips are hashed for this, not measured."""
    asked: Counter[str] = Counter()
    done = prompt = completion = 0
    learnt: dict[str, tuple[float, float]] = {}
    for agent in chain.settings.by_model:
        rows = [
            (r.prompt_tokens, r.completion_tokens) for r in chain.records.all()
            if r.agent == agent and r.kind == "model" and r.model == chain.model and r.prompt_tokens is not None
        ]  # fmt: skip
        if rows:
            learnt[agent] = (sum(a or 0 for a, _ in rows) / len(rows), sum(b or 0 for _, b in rows) / len(rows))
    for item in items:
        missing = chain.missing(item)
        done += not missing
        for agent in missing:
            if agent not in chain.settings.by_model:
                continue
            asked[agent] += 1
            given = _FILLED[agent] + len(prompts.template(agent)) // LETTERS + len(item.transcript) // LETTERS
            mean = learnt.get(agent, (float(given), float(chain.settings.tokens)))
            prompt += round(mean[0])
            completion += round(mean[1])
    cost = chain.settings.prices.of(prompt, completion)
    calls: dict[str, int] = {name: asked[name] for name in chain.settings.by_model if asked[name]}
    return Estimate(len(items) - done, done, calls, prompt, completion, cost, tuple(learnt))
