"""The loop of GRPO: ask, let a group answer, reward, weigh, step; and checkpoints that hold everything, the questions' lifecycle too."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from emollm.training.grpo.loss import DIVERGENCE, advantages, grpo_loss
from emollm.training.grpo.sampler import Rounds
from emollm.training.grpo.utility import Group, Utility
from emollm.training.logs import LOG

Report = Callable[[int, int, float], None]
"""Called with step, steps in all, and the mean reward of the step."""
STATE, WEIGHTS = "grpo.json", "grpo.pt"


@dataclass(frozen=True, slots=True)
class Answers:
    """A group of answers to one question; `tokens` is the policy's own."""

    id: str
    texts: tuple[str, ...]
    tokens: Any


class Policy(Protocol):
    """What learns."""

    def answer(self, ids: Sequence[str], group: int) -> list[Answers]:
        """`group` answers to each question, drawn at temperature 1."""

    def chances(self, answers: Sequence[Answers]) -> tuple[Tensor, Tensor]:
        """Log probabilities [N, T] of all answers' tokens with gradient, and mask [N, T]; groups one after another."""

    def reference(self, answers: Sequence[Answers]) -> Tensor | None:
        """The same by the policy as it was before; None if nothing holds it back."""

    def parameters(self) -> list[torch.nn.Parameter]:
        """What learns."""


@dataclass(frozen=True, slots=True)
class Course:
    """Sizes of a run."""

    steps: int
    questions: int = 4  # of one step
    group: int = 8  # answers to each
    learning_rate: float = 1e-5
    divergence: float = DIVERGENCE
    largest_gradient: float = 1.0
    save_steps: int = 20


def run(
    policy: Policy,
    rounds: Rounds,
    utility: Utility,
    reward: Callable[[str, str], float],
    course: Course,
    out: Path | None = None,
    *,
    resume: bool = False,
    report: Report | None = None,
) -> list[float]:
    """Train a policy.

    Args:
        policy: Changed in place.
        rounds: Draws questions.
        utility: Weighs groups and retires questions.
        reward: Of the id of a question and the text of an answer.
        course: Sizes.
        out: Folder for checkpoints; none are written without it.
        resume: Go on from the checkpoint in `out`.
        report: Progress.

    Returns:
        Mean reward of each step of this call.
    """
    optimizer = torch.optim.AdamW(policy.parameters(), lr=course.learning_rate, weight_decay=0.01)
    first = _load(out, policy, optimizer, rounds, utility) if resume and out is not None else 0
    means = []
    for step in range(first, course.steps):
        answers = policy.answer(rounds.draw(course.questions), course.group)
        rewards = torch.tensor([[reward(a.id, text) for text in a.texts] for a in answers])
        current, mask = policy.chances(answers)
        scores = ((current.detach() * mask).sum(1) / mask.sum(1).clamp(min=1)).view(len(answers), -1)
        groups = [Group(a.id, tuple(r.tolist()), tuple(s.tolist())) for a, r, s in zip(answers, rewards, scores, strict=True)]
        factors = torch.tensor(utility.weigh(groups))
        gain = advantages(rewards, factors)
        if gain.abs().max() > 0:
            loss = grpo_loss(current, policy.reference(answers), gain.flatten(), mask, divergence=course.divergence)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), course.largest_gradient)
            optimizer.step()
        means.append(float(rewards.mean()))
        if out is not None:
            _log(out, step + 1, course, means[-1], factors)
        if report is not None:
            report(step + 1, course.steps, means[-1])
        if out is not None and ((step + 1) % course.save_steps == 0 or step + 1 == course.steps):
            _save(out, step + 1, policy, optimizer, rounds, utility)
    return means


def _log(out: Path, step: int, course: Course, reward: float, factors: Tensor) -> None:
    """A line of log.jsonl; a resumed run goes on in the same file."""
    out.mkdir(parents=True, exist_ok=True)
    row = {"step": step, "of": course.steps, "reward": round(reward, 4), "answers": step * course.questions * course.group}
    with (out / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row | {"factor": round(float(factors.mean()), 4)}) + "\n")


def _save(out: Path, step: int, policy: Policy, optimizer: torch.optim.Optimizer, rounds: Rounds, utility: Utility) -> None:
    """Everything, whole or not at all: the weights' file carries its step, so a crash between the two files is seen."""
    out.mkdir(parents=True, exist_ok=True)
    part = out / f"{WEIGHTS}.part"
    weights = [p.detach().cpu() for p in policy.parameters()]
    torch.save({"step": step, "weights": weights, "optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}, part)
    state = json.dumps({"step": step, "rounds": rounds.state(), "utility": utility.state()})
    told = out / f"{STATE}.part"
    told.write_text(state, "utf-8")
    told.replace(out / f"{step}-{STATE}")
    part.replace(out / WEIGHTS)
    for old in out.glob(f"*-{STATE}"):
        if old.name != f"{step}-{STATE}":
            old.unlink()


def _load(out: Path, policy: Policy, optimizer: torch.optim.Optimizer, rounds: Rounds, utility: Utility) -> int:
    if not (out / WEIGHTS).is_file():
        return 0
    kept: Mapping[str, Any] = torch.load(out / WEIGHTS, weights_only=True)
    state = json.loads((out / f"{kept['step']}-{STATE}").read_text("utf-8"))
    with torch.no_grad():
        for parameter, value in zip(policy.parameters(), kept["weights"], strict=True):
            parameter.copy_(value)
    optimizer.load_state_dict(kept["optimizer"])
    torch.set_rng_state(kept["random"])
    rounds.load_state(state["rounds"])
    utility.load_state(state["utility"])
    return int(kept["step"])
