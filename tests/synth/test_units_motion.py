"""Facial units, drawn expressions and their curves."""

import numpy as np
import pytest

from emollm.synth.expressions import draw_expression, families
from emollm.synth.motion import MICRO_S, Event, Sound, animate, bell, plan_blinks, plan_expressions, plan_head
from emollm.synth.person import draw_person
from emollm.units import FACS, INDEX, UNITS, both

PERSON = draw_person(3, {})
FPS = 25.0


def test_there_are_52_units_each_with_a_facs_name():
    assert len(UNITS) == len(set(UNITS)) == len(FACS) == 52
    assert FACS["mouthSmileLeft"].startswith("AU12") and FACS["browInnerUp"].startswith("AU1 ")


def test_both_sets_both_sides():
    units = both(mouthSmile=0.5, jawOpen=0.2)
    assert units[INDEX["mouthSmileLeft"]] == units[INDEX["mouthSmileRight"]] == pytest.approx(0.5)
    assert units[INDEX["jawOpen"]] == pytest.approx(0.2) and units.sum() == pytest.approx(1.2)


def test_every_family_names_known_units():
    for name, variants in families().items():
        assert variants, name
        for weight, parts in variants:
            assert weight > 0
            for part in parts:
                assert {part.unit, f"{part.unit}Left"} & set(UNITS), f"{name}: {part.unit}"
                assert 0 <= part.low <= part.high <= 1 and 0 < part.chance <= 1


def test_a_family_is_not_one_recipe():
    drawn = {tuple(draw_expression("angry", PERSON, np.random.default_rng(i)).named()) for i in range(30)}
    assert len(drawn) > 15


@pytest.mark.parametrize("family", [*families(), "free"])
def test_strengths_stay_between_0_and_1(family):
    for seed in range(10):
        units = draw_expression(family, PERSON, np.random.default_rng(seed), 1.0).units
        assert units.min() >= 0 and units.max() <= 1


def test_an_event_is_full_at_its_apex_and_gone_outside():
    event = Event("expression", 1.0, 1.5, 2.0, 3.0)
    curve = bell(np.array([0.9, 1.0, 1.5, 1.8, 2.0, 3.0, 3.1]), event)
    assert curve.tolist() == pytest.approx([0, 0, 1, 1, 1, 0, 0])


def test_events_survive_json():
    event = Event("expression", 0.1, 0.2, 0.3, 0.4, "happy", 0.7, "left", {"mouthSmileLeft": 0.6})
    assert Event.of_json(event.as_json()) == event
    assert event.micro and event.offset - event.onset <= MICRO_S


def test_curves_carry_what_the_events_say():
    event = Event("expression", 0.5, 1.0, 2.0, 2.5, "happy", 1.0, "both", {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8})
    motion = animate(PERSON, [event], 4.0, FPS, np.random.default_rng(0))
    smile = motion.units[:, INDEX["mouthSmileLeft"]]
    assert motion.units.shape == (100, 52) and motion.head.shape == (100, 3)
    assert smile[:12].max() == 0 and smile[30:45].min() > 0.6 and smile[70:].max() == 0


def test_blinks_close_the_eyes():
    blinks = plan_blinks(60.0, np.random.default_rng(1))
    assert 8 <= len(blinks) <= 30  # about 17 a minute
    motion = animate(PERSON, blinks, 60.0, FPS, np.random.default_rng(0))
    closed = motion.units[:, INDEX["eyeBlinkLeft"]]
    for blink in blinks:
        rows = slice(int(blink.onset * FPS), int(blink.offset * FPS) + 2)
        assert closed[rows].max() > 0.5


def test_a_nod_moves_the_pitch_and_not_the_yaw():
    def head(events):
        return animate(PERSON, events, 3.0, FPS, np.random.default_rng(0)).head

    moved = np.abs(head([Event("nod", 0.5, 0.8, 1.8, 2.2, "down", 1.0)]) - head([])).max(0)
    assert moved[1] > 4 and moved[0] < 1e-4 and moved[2] < 1e-4


def test_lips_close_for_p_and_open_for_a():
    sound = Sound((("p", 0.5, 0.8), ("a", 0.8, 1.2)), np.ones(200, np.float32))
    units = animate(PERSON, [], 2.0, FPS, np.random.default_rng(0), sound).units
    assert units[16, INDEX["mouthPressLeft"]] > 0.3 and units[25, INDEX["jawOpen"]] > 0.25
    assert units[45:, INDEX["jawOpen"]].max() < 0.05


def test_planned_events_begin_inside_the_clip_and_end_after_they_began():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        for event in plan_expressions(PERSON, 4.0, rng) + plan_head(4.0, rng):
            assert 0 <= event.onset < event.apex <= event.release <= event.offset
            assert event.onset < 4.0


def test_a_person_is_the_same_for_ever():
    assert draw_person(11, {}) == draw_person(11, {})
    assert draw_person(11, {}) != draw_person(12, {})
    for seed in range(30):
        look = draw_person(seed, {}).description
        assert {"age", "skin", "hair"} <= look.keys()
