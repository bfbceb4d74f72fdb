"""The model itself learns from rewards at toy scale: tokens say which label is wanted, rewards say when it was named."""

import json

import pytest
import torch

from emollm.build import build
from emollm.data.conversation import ClipView, Turn
from emollm.data.tasks import Sample
from emollm.errors import RecipeError
from emollm.recipe import Reinforcement, Stage
from emollm.training.grpo.language import LanguagePolicy, Question
from emollm.training.reinforce import meaning_reward, questions_of, reward_of, run_reinforcement


def sample(number, label):
    token = torch.zeros(1, 256)
    token[0, number % 2] = 8.0
    view = ClipView("image", 0.0, {"face": 1})
    return Sample((Turn("user", "?", clip=view), Turn("assistant", label, learn=True)), {"face": token})


SAMPLES = [sample(k, ("happy", "sad")[k % 2]) for k in range(8)]


def test_a_right_answer_names_the_label_and_no_other():
    assert reward_of("happy", "happy") == 1.0 == reward_of("happy", "They look happy.") == reward_of("fear", "afraid")
    assert reward_of("happy", "happy or sad") == 0.5 and reward_of("happy", "neutral") == 0.0 == reward_of("happy", "")


def test_a_right_answer_begins_as_those_to_what_was_meant():
    wanted = "I am so sorry, that is very hard. I am here to listen."
    assert meaning_reward(wanted, "I am so sorry.") == 1.0 and meaning_reward(wanted, "I am") == 0.5
    assert meaning_reward(wanted, "How lovely!") == 0.0 == meaning_reward(wanted, "Who?") == meaning_reward("Hm.", "Hm.")


def test_only_samples_with_one_answer_are_questions():
    two = Sample((*SAMPLES[0].turns, Turn("user", "and?"), Turn("assistant", "b", learn=True)))
    questions, wanted = questions_of([SAMPLES[0], two, SAMPLES[1]])
    assert list(wanted.values()) == ["happy", "sad"] and questions.keys() == wanted.keys()
    assert all(q.turns[-1].role == "user" for q in questions.values())


def policy():
    parts = build("emollm", "toy", fresh=True, perception=object())
    for name, parameter in parts.model.named_parameters():
        parameter.requires_grad_("lora" in name or name.startswith("projectors"))
    questions, _ = questions_of(SAMPLES)
    return parts, LanguagePolicy(parts.model, parts.prompts, questions, most_tokens=4)


def test_chances_are_those_the_answers_were_drawn_with():
    """Read alone and read padded in a group, the tokens of an answer have the same chance."""
    _, drawing = policy()
    torch.manual_seed(0)
    answers = drawing.answer(["000000", "000003"], 3)
    assert [a.id for a in answers] == ["000000", "000003"] and all(len(a.texts) == 3 for a in answers)
    together, mask = drawing.chances(answers)
    alone, single = drawing.chances(answers[1:])
    assert together.shape == mask.shape and together.requires_grad and (mask.sum(1) >= 1).all()
    width = single.shape[1]
    assert torch.allclose(together[3:, :width][single > 0], alone[single > 0], atol=0.05)  # bfloat16
    before = drawing.reference(answers)
    assert before is not None and not before.requires_grad and torch.allclose(before, together, atol=1e-5)


def test_the_reference_stays_where_it_was():
    _, drawing = policy()
    answers = drawing.answer(["000001"], 2)
    before = drawing.reference(answers)
    with torch.no_grad():
        for parameter in drawing.parameters():
            parameter.add_(0.05)
    assert torch.allclose(drawing.reference(answers), before, atol=1e-5)
    assert not torch.allclose(drawing.chances(answers)[0], before, atol=1e-3)


def test_a_stage_learns_from_rewards(tmp_path):
    """A word of one token is easily found by chance, so the toy can be taught to say it."""
    parts = build("emollm", "toy", fresh=True, perception=object())
    wanted = parts.prompts.words([parts.prompts.text(" a")[0]]) or "a"
    questions = [Sample((*s.turns[:1], Turn("assistant", wanted, learn=True)), s.features) for s in SAMPLES]
    how = Reinforcement(utility="plain", questions=2, group=16, answer_tokens=2, divergence=0.0)
    stage = Stage(name="r", method="grpo", data="x", train=("llm.*lora*",), learning_rate=0.02, epochs=1, reinforce=how)
    told = []
    measured = run_reinforcement(
        parts.model.train(), parts.prompts, questions, stage, tmp_path, resume=False, report=lambda *row: told.append(row)
    )
    assert measured["questions"] == 8 and measured["answers"] == 4 * 2 * 16 and len(told) == 4
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [row["reward"] for row in logged] == pytest.approx([reward for _, _, reward in told], abs=1e-4)
    assert logged[-1]["answers"] == measured["answers"]
    with pytest.raises(RecipeError, match="one answer"):
        run_reinforcement(parts.model, parts.prompts, [], stage, tmp_path / "b", resume=False)


def test_questions_keep_their_features():
    assert isinstance(questions_of(SAMPLES)[0]["000000"], Question)
    assert torch.equal(questions_of(SAMPLES)[0]["000001"].features["face"], SAMPLES[1].features["face"])
