"""A stage of reinforcement: samples become questions, and a right answer is one that names the label, or meets what was meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from emollm.data.conversation import PromptBuilder
from emollm.data.plain import meanings_of
from emollm.data.prompts import ADJECTIVES, NOUNS
from emollm.data.tasks import Sample
from emollm.errors import RecipeError
from emollm.model.emotion_model import EmotionModel
from emollm.model.groups import train_only
from emollm.recipe import Reinforcement, Stage
from emollm.training.grpo.language import LanguagePolicy, Question
from emollm.training.grpo.loop import Course, Report, run
from emollm.training.grpo.rewards import overlap
from emollm.training.grpo.sampler import Rounds
from emollm.training.grpo.utility import Lifecycle, Plain, Released, Utility

UTILITIES: dict[str, type[Utility]] = {"plain": Plain, "released": Released, "lifecycle": Lifecycle}
SAME = {word: name for name in NOUNS for word in (name, ADJECTIVES[name], NOUNS[name].split()[-1])}
"""Words an emotion goes by -> its label."""


def questions_of(samples: Sequence[Sample]) -> tuple[dict[str, Question], dict[str, str]]:
    """Samples whose one answer is to be learned, as questions and wanted answers by id."""
    questions, wanted = {}, {}
    for number, sample in enumerate(samples):
        if sum(t.learn for t in sample.turns) == 1 and sample.turns[-1].learn:
            name = f"{number:06d}"
            questions[name] = Question(sample.turns[:-1], sample.features)
            wanted[name] = sample.turns[-1].text
    return questions, wanted


def reward_of(wanted: str, answer: str) -> float:
    """1 for an answer that names the wanted label and no other, a share of it where it names several."""
    label = SAME.get(wanted, wanted)
    known = SAME if label in SAME.values() else {**SAME, wanted.lower(): wanted.lower()}
    return overlap(answer, [label], known)


def meaning_reward(wanted: str, answer: str) -> float:
    """1 for an answer that begins as those to the wanted answer's meaning do, a share of it where others begin so too."""
    goal, found = meanings_of(wanted), meanings_of(answer)
    return len(goal & found) / len(goal | found) if goal | found else 0.0


REWARDS: dict[str, Callable[[str, str], float]] = {"label": reward_of, "meaning": meaning_reward}


def run_reinforcement(
    model: EmotionModel,
    prompts: PromptBuilder,
    samples: Sequence[Sample],
    stage: Stage,
    out: Path,
    *,
    resume: bool,
    seed: int = 0,
    report: Report | None = None,
) -> dict[str, float]:
    """Train one stage with GRPO.

    Args:
        model: Changed in place.
        prompts: Lays questions out.
        samples: Labelled ones; those with several answers are left out.
        stage: With `reinforce`.
        out: Folder for checkpoints.
        resume: Go on from the checkpoint in `out`.
        seed: Of the order of questions.
        report: Progress; its number is the mean reward of a step.

    Returns:
        Mean rewards of the first and last tenth of the steps, answers drawn, and questions retired.

    Raises:
        RecipeError: No sample is a question with one answer.
    """
    how = stage.reinforce or Reinforcement()
    questions, wanted = questions_of(samples)
    if not questions:
        raise RecipeError(f"stage {stage.name!r}: no sample of {stage.data!r} has one answer to reward.")
    train_only(model, stage.train)
    utility = UTILITIES[how.utility]()
    policy = LanguagePolicy(model, prompts, questions, most_tokens=how.answer_tokens)
    steps = max(1, round(stage.epochs * len(questions) / how.questions))
    course = Course(steps, questions=how.questions, group=how.group, learning_rate=stage.learning_rate, divergence=how.divergence)
    means = run(
        policy,
        Rounds(sorted(questions), utility, seed=seed),
        utility,
        lambda name, text: REWARDS[how.reward](wanted[name], text),
        course,
        out,
        resume=resume,
        report=report,
    )
    part = max(1, len(means) // 10)
    return {
        "first_reward": sum(means[:part]) / max(1, len(means[:part])),
        "last_reward": sum(means[-part:]) / max(1, len(means[-part:])),
        "answers": float(len(means) * how.questions * how.group),
        "questions": float(len(questions)),
        "retired": float(len(utility.retired())),
    }
