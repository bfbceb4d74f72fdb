import json
import math

import pytest
import torch
from bandits import Bandits

from emollm.training.grpo.loop import STATE, Course, run
from emollm.training.grpo.loss import advantages, grpo_loss
from emollm.training.grpo.rewards import agreement, facets, form, length, overlap, temporal
from emollm.training.grpo.sampler import Rounds
from emollm.training.grpo.utility import Group, Lifecycle, Plain, Released, geometric_gap, margin

# -- rewards


def test_overlap_joins_synonyms_and_counts_what_is_too_much():
    same = {"joyful": "happy", "glad": "happy", "sad": "sad"}
    assert overlap("They look joyful.", ["happy"], same) == 1.0
    assert overlap("happy and sad", ["happy"], same) == 0.5
    assert overlap("neutral", ["happy"], same) == 0.0 == overlap("", ["happy"], same)


def test_facets_a_sample_lacks_give_their_weight_away():
    shares = {"attributes": 0.4, "emotion": 0.3, "action": 0.3}
    assert facets("happy", {"emotion": ["happy"], "action": [], "attributes": []}, shares) == 1.0
    both = facets("happy", {"emotion": ["happy"], "action": ["nods"]}, shares)
    assert both == pytest.approx(0.5)


def test_form_is_one_thought_and_one_answer():
    assert form("<think>corners rise</think>\n<answer>happy</answer>") == 1.0
    for wrong in (
        "happy",
        "<think></think><answer>a</answer>",
        "<think>a</think><answer>b</answer> more",
        "<think>a</think><answer>b</answer>" * 2,
    ):
        assert form(wrong) == 0.0


def test_agreement_of_chain_and_reply():
    same = {"sad": "sad", "sorrow": "sad", "happy": "happy", "glad": "happy"}
    assert agreement("sad", "I hear your sorrow.", same) == 1.0
    assert agreement("sad", "I am glad for you.", same) == 0.0
    assert agreement("sad", "Tell me more.", same) == 0.5


def test_temporal_and_length_bonuses():
    assert temporal([1.0, 0.0], [0.2, 0.2]) == [0.3, 0.0]
    assert temporal([0.2, 0.1], [1.0, 1.0]) == [0.0, 0.0]
    assert [length(0.5, n) for n in (319, 320, 512, 513)] == [0, 0.2, 0.2, 0] and length(0.05, 400) == 0


# -- utilities


def test_the_released_code_gives_nothing_at_a_first_visit():
    """Rewards of order 1 and log probabilities 0.15 apart: the state is a fifth of a small number, far below its threshold."""
    group = Group("a", (0.0, 1.0, 0.4, 0.8), (-1.0, -1.15, -0.9, -1.2))
    assert Released().weigh([group]) == [0.0]
    assert Released(remove=0.0).weigh([group]) == [pytest.approx(math.tanh(margin(group.rewards)))]


def test_one_tie_pulls_the_geometric_gap_far_down():
    assert geometric_gap([0.0, 1.0, 2.0]) == pytest.approx(2 ** (1 / 3), abs=1e-4)
    assert geometric_gap([0.0, 0.0, 2.0]) < 0.05 < margin([0.0, 0.0, 2.0])


def lively(name, spread):
    return Group(name, (0.0, spread), (-1.0, -1.0))


def test_what_teaches_nothing_retires_and_what_swings_cools():
    cycle = Lifecycle()
    for _ in range(3):
        factors = cycle.weigh([lively("dead", 0.0), *(lively(f"m{k}", 0.3 + 0.01 * k) for k in range(8)), lively("wild", 1.0)])
    # the lowest fifth of ten
    assert cycle.retired() == {"dead", "m0"} and cycle.status("wild") == "cooling" and factors[-1] == 0.5 and factors[4] == 1.0
    assert cycle.status("nobody") == "unknown"


def test_one_bad_visit_retires_nobody():
    cycle = Lifecycle()
    cycle.weigh([lively("a", 0.0), lively("b", 1.0)])
    assert not cycle.retired()


def test_a_lifecycle_goes_on_from_its_state():
    one, other = Lifecycle(), Lifecycle()
    one.weigh([lively("dead", 0.0), lively("b", 1.0)])
    other.load_state(json.loads(json.dumps(one.state())))
    after = [c.weigh([lively("dead", 0.0), lively("b", 0.5)]) for c in (one, other)]
    assert after[0] == after[1] and one.state() == other.state()


# -- sampler


class Gone(Plain):
    def __init__(self, names):
        self._names = frozenset(names)

    def retired(self):
        return self._names


def test_rounds_are_whole_and_skip_the_retired():
    ids = [f"q{k}" for k in range(10)]
    assert sorted(Rounds(ids, Plain()).draw(10)) == sorted(ids)
    drawn = Rounds(ids, Gone(ids[:5]), explore=0.0).draw(50)
    assert set(drawn) == set(ids[5:]) and all(drawn.count(i) == 10 for i in ids[5:])
    explored = Rounds(ids, Gone(ids[:5]), explore=0.1, seed=1).draw(2000)
    assert 0.06 < sum(i in ids[:5] for i in explored) / 2000 < 0.14
    assert set(Rounds(ids, Gone(ids), explore=0.0).draw(10)) == set(ids)  # all retired: all again


def test_rounds_go_on_from_their_state():
    one, other = Rounds(list("abcdefgh"), Plain(), seed=3), Rounds(list("abcdefgh"), Plain(), seed=9)
    one.draw(5)
    other.load_state(json.loads(json.dumps(one.state())))
    assert one.draw(20) == other.draw(20)


# -- loss


def test_advantages_are_of_the_group():
    found = advantages(torch.tensor([[1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]]), torch.tensor([1.0, 1.0]))
    assert found[0].sum().abs() < 1e-6 and found[0, 0] > 0 > found[0, 1] and not found[1].any()
    assert torch.allclose(
        advantages(torch.tensor([[1.0, 0.0]]), torch.tensor([0.5]))[0], advantages(torch.tensor([[1.0, 0.0]]), torch.ones(1))[0] / 2
    )


def test_the_loss_pushes_good_answers_and_holds_back():
    current = torch.tensor([[-1.0, -1.0], [-1.0, -1.0]], requires_grad=True)
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    grpo_loss(current, None, torch.tensor([1.0, -1.0]), mask).backward()
    assert torch.equal(current.grad.sign(), torch.tensor([[-1.0, -1.0], [1.0, 0.0]]))  # padding learns nothing
    far = grpo_loss(current.detach(), current.detach() - 2, torch.zeros(2), mask)
    assert far > 0 == grpo_loss(current.detach(), current.detach(), torch.zeros(2), mask)


# -- the loop


def trained(utility, steps=60, **course):
    torch.manual_seed(0)
    bandits = Bandits()
    run(
        bandits,
        Rounds(bandits.ids, utility),
        utility,
        bandits.reward,
        Course(steps, questions=8, learning_rate=0.1, divergence=0.0, **course),
    )
    return bandits


def test_it_learns_from_rewards():
    before, after = Bandits().skill(), trained(Plain()).skill()
    assert before < 0.75 and after > 0.85


def test_questions_that_teach_nothing_are_asked_less():
    """At equal numbers of answers the lifecycle learns more, since known and hopeless questions retire."""
    plain, efficient = trained(Plain(), 80), trained(Lifecycle(), 80)
    assert plain.rollouts == efficient.rollouts
    assert efficient.skill() > plain.skill()


def test_released_never_moves_at_a_first_visit():
    assert torch.equal(trained(Released(), 5).logits.detach(), Bandits().logits.detach())


def test_a_run_is_stopped_and_goes_on_to_the_same_weights(tmp_path):
    whole = trained(Lifecycle(), 12)
    torch.manual_seed(0)
    course = {"questions": 8, "learning_rate": 0.1, "divergence": 0.0, "save_steps": 5}
    first, cycle = Bandits(), Lifecycle()

    def stop(step, of, _):
        if step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(first, Rounds(first.ids, cycle), cycle, first.reward, Course(12, **course), tmp_path, report=stop)
    assert (tmp_path / f"5-{STATE}").is_file()
    torch.manual_seed(99)
    second, cycle = Bandits(), Lifecycle()
    run(second, Rounds(second.ids, cycle, seed=7), cycle, second.reward, Course(12, **course), tmp_path, resume=True)
    assert torch.equal(second.logits, whole.logits)
