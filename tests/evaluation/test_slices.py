"""Groups of rendered people at equal expression, by hand."""

from emollm.evaluation.slices import Measured, appearance_of, slices, slices_table


def test_only_units_that_moved_in_every_group_count():
    people = [Measured({"skin": "dark"}, {"jawOpen": 0.8, "noseSneer": 0.1})] * 4 + [Measured({"skin": "light"}, {"jawOpen": 0.9})] * 4
    found = slices(people)["skin"]
    assert found["units"] == 1  # the nose moved in one group only
    assert found["groups"]["dark"] == {"n": 4, "correlation": 0.8, "interval": [0.8, 0.8]}
    assert found["gap"] == {"best": "light", "worst": "dark", "value": 0.1, "interval": [0.1, 0.1]}
    assert "| skin: light - dark |  | 0.100 |" in slices_table(slices(people))


def test_a_unit_counts_once_however_often_it_moved():
    often = [Measured({"age": "child"}, {"jawOpen": 0.2})] * 9 + [Measured({"age": "child"}, {"eyeWide": 0.8})]
    other = [Measured({"age": "older"}, {"jawOpen": 0.2, "eyeWide": 0.8})] * 2
    found = slices([*often, *other])["age"]["groups"]
    assert found["child"]["correlation"] == 0.5 == found["older"]["correlation"]
    assert "interval" not in found["older"] and slices([*often, *other])["age"]["gap"] is None  # two people are too few


def test_what_the_truth_does_not_tell_is_no_group():
    assert appearance_of({"appearance": {"age": "young", "skin": "light", "hair": "x"}}) == {"age": "young", "skin": "light"}
    assert appearance_of({}) == {} and slices([Measured({"age": "young"}, {"jawOpen": 1.0})]) == {}
