"""AutoDQ and TEM against hand-worked numbers and their golden cases."""

import itertools
import random

import pytest

from emollm.errors import DataError
from emollm.evaluation.events import movements, relation
from emollm.evaluation.temporal import against, autodq, largest_matching, mean_tem, tem

E, N, C = "entailed", "neutral", "contradicted"


def same(a, b):
    """A stub judge: equal strings entail, "x" and "not x" contradict."""
    return E if a == b else C if a in {f"not {b}", b.removeprefix("not ")} else N


def test_autodq_by_hand():
    # recall: 2/3 and 1; precision: 1/2 (neutral does not count) and 0 -> means 5/6 and 1/4
    found = autodq([([E, E, N], [E, C]), ([E], [N, N])])
    assert (found.recall, found.precision) == (pytest.approx(5 / 6), pytest.approx(1 / 4))
    assert found.f1 == pytest.approx(2 * (5 / 6) * (1 / 4) / (5 / 6 + 1 / 4))
    # not the mean of F1 a clip, which would be (4/7 + 0) / 2
    assert found.f1 != pytest.approx((4 / 7) / 2)


def test_autodq_empty_lists_count_as_one():
    assert autodq([([], [])]).f1 == 1
    assert autodq([([N], [])]).f1 == 0
    with pytest.raises(DataError, match="no clips"):
        autodq([])


def test_against_takes_the_best_of_the_caption():
    assert against(["a", "b", "c"], ["not b", "a", "not a"], same) == [E, C, N]
    assert against(["a"], [], same) == [N]


@pytest.mark.parametrize("m", [1, 2, 3, 7])
def test_identical_and_reversed(m):
    events = [f"e{k}" for k in range(m)]
    assert tem(events, events, same).tem == 1
    backwards = tem(events, events[::-1], same)
    assert backwards.tem == pytest.approx(1 / m)  # L = 1 of m: 2 * 1 / (2 m)
    assert backwards.content == 1
    assert backwards.order == pytest.approx(1 / m)


def test_empty_lists():
    assert tem([], [], same).tem == 1
    for one, other in (([], ["a"]), (["a"], [])):
        found = tem(one, other, same)
        assert (found.tem, found.content, found.order, found.contradicted) == (0, 0, 0, 0)


def test_invented_events_lower_only_precision():
    found = tem(["a", "b"], ["a", "x", "b", "y"], same)
    # L = 2: 2 * 2 / (2 + 4); recall 2/2 stays, precision is 2/4; order is untouched
    assert found.tem == pytest.approx(2 * 2 / 6)
    assert (found.content, found.order) == (pytest.approx(2 * 2 / 6), 1)


def test_swapping_neighbours_costs_one():
    events = list("abcde")
    for k in range(4):
        swapped = [*events[:k], events[k + 1], events[k], *events[k + 2 :]]
        assert tem(events, swapped, same).tem == pytest.approx(2 * (5 - 1) / 10)


def test_each_event_matches_once():
    found = tem(["a"], ["a", "a", "a"], same)
    assert found.tem == pytest.approx(2 * 1 / 4)
    assert found.content == pytest.approx(2 * 1 / 4)


def test_contradictions():
    found = tem(["a", "b", "c"], ["not a", "b", "not c", "x"], same)
    assert found.contradicted == pytest.approx(2 / 4)
    # entailed by one and contradicted by another is not a contradiction
    assert tem(["a", "not a"], ["a"], same).contradicted == 0


def test_matching_is_the_largest():
    # greedy would give row 0 to column 0 and leave row 1 with nothing
    assert largest_matching([[True, True], [True, False]], 2) == 2
    rng = random.Random(0)
    for _ in range(30):
        table = [[rng.random() < 0.4 for _ in range(4)] for _ in range(4)]
        brute = max(sum(table[i][j] for i, j in enumerate(order)) for order in itertools.permutations(range(4)))
        assert largest_matching(table, 4) == brute


def test_properties():
    rng = random.Random(1)
    for _ in range(60):
        gold, found = rng.choices("abcd", k=rng.randint(0, 6)), rng.choices("abcd", k=rng.randint(0, 6))
        there, back = tem(gold, found, same), tem(found, gold, same)
        assert there.tem == pytest.approx(back.tem)
        assert 0 <= there.tem <= there.content <= 1
        assert 0 <= there.order <= 1


def test_on_captions():
    gold = movements("At the beginning, the brows rise. In the middle, the mouth opens. Towards the end, the head turns to the left.")
    good = movements("Early on her eyebrows lift. Towards the end she turns her head to the left.")
    bad = movements("Towards the end, the head turns to the right.")
    # 2 of 3 and 2 of 2 in order
    assert tem(gold, good, relation).tem == pytest.approx(2 * 2 / 5)
    assert mean_tem([(gold, good)]).tem == pytest.approx(2 * 2 / 5)
    wrong = mean_tem([(gold, bad)])
    assert (wrong.tem, wrong.contradicted) == (0, 1)
    with pytest.raises(DataError, match="no clips"):
        mean_tem([])
