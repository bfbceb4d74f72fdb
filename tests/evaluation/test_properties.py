"""What must hold for any answers: of TEM whatever the events, of mscore whatever the labels."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from emollm.evaluation.answers import Reference, Said
from emollm.evaluation.cards import Scored
from emollm.evaluation.tally import tally
from emollm.evaluation.temporal import tem
from emollm.evaluation.wheel import MODES, hit_scores

LABELS = ("happy", "sad", "angry", "worried", "surprise", "disgust")
events = some.lists(some.integers(0, 9).map(str), max_size=9)
distinct = some.lists(some.integers(0, 99).map(str), min_size=1, max_size=9, unique=True)
quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def same(a, b):
    return "entailed" if a == b else "neutral"


@quick
@given(events)
def test_identical_is_one_and_nothing_against_something_is_zero(one):
    assert tem(one, one, same).tem == 1
    if one:
        assert tem(one, [], same).tem == 0 == tem([], one, same).tem


@quick
@given(distinct)
def test_reversed_is_one_over_their_number(one):
    found = tem(one, one[::-1], same)
    assert found.tem == pytest.approx(1 / len(one)) and found.content == 1


@quick
@given(distinct, some.data())
def test_swapping_two_neighbours_lowers_the_common_run_by_one(one, data):
    if len(one) > 1:
        at = data.draw(some.integers(0, len(one) - 2))
        swapped = [*one[:at], one[at + 1], one[at], *one[at + 2 :]]
        # 2 L / (m + n) with m = n
        assert tem(one, swapped, same).tem * len(one) == pytest.approx(len(one) - 1)


@quick
@given(events, events, some.integers(1, 4))
def test_bounds_symmetry_and_inventions(gold, found, invented):
    here = tem(gold, found, same)
    assert 0 <= here.tem <= here.content <= 1 and 0 <= here.order <= 1
    assert here.tem == pytest.approx(tem(found, gold, same).tem)
    more = tem(gold, [*found, *(f"invented {k}" for k in range(invented))], same)
    assert more.tem <= here.tem and (
        not gold or more.tem * (len(gold) + len(found) + invented) == pytest.approx(here.tem * (len(gold) + len(found)))
    )


truths = some.lists(some.sampled_from(LABELS), min_size=1, max_size=8)


def mscores(truth, said):
    card = Scored(name="c", version=1, about="", task="open-vocabulary", labels=LABELS, headline="hit_fixed")
    made = tally(card, [Reference(str(k), t) for k, t in enumerate(truth)], [Said(tuple(s)) for s in said]).all()
    return {mode: made[f"mscore_{mode}"] for mode in MODES}, made


@quick
@given(truths)
def test_listing_every_label_hits_all_and_is_worth_a_guess(truth):
    scores, made = mscores(truth, [LABELS] * len(truth))
    for mode in MODES:
        assert made[f"hit_{mode}"] == 1 and made[f"above_chance_{mode}"] == pytest.approx(0, abs=1e-9)
        chance = hit_scores([(t, LABELS) for t in truth], LABELS, mode).chance
        assert scores[mode] == pytest.approx(chance)
        # the best single label does at least as well
        assert scores[mode] <= max(mscores(truth, [(label,)] * len(truth))[0][mode] for label in LABELS) + 1e-9


@quick
@given(truths, some.data())
def test_one_more_label_never_raises_the_score_of_a_right_answer(truth, data):
    more = data.draw(some.lists(some.sampled_from(LABELS), min_size=len(truth), max_size=len(truth)))
    right = mscores(truth, [(t,) for t in truth])[0]
    wider = mscores(truth, [(t, m) for t, m in zip(truth, more, strict=True)])[0]
    assert all(wider[mode] <= right[mode] + 1e-9 for mode in MODES)
