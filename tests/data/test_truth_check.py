"""Deliberately wrong captions are caught, each for its own fault; right ones pass."""

import open_scenes
import pytest

from emollm.data.open_corpus.scene import scene_of, tone_of
from emollm.data.truth_check import denial_faults, faults, unit_row_faults
from emollm.evaluation.events import movements

ONE, TWO = scene_of(open_scenes.truth()), scene_of(open_scenes.two())


@pytest.mark.parametrize(
    "text",
    [
        "Early on, the corners of the mouth rise, more on the person's left side. Then the person nods. Near the end, the brows lower.",
        "At about 0.5 seconds, the cheeks lift. At about 3.0 seconds, the nose wrinkles.",
        'The person speaks from about 2.0 to 3.6 seconds, saying "He lied to all of us." The voice is loud, quick and lively.',
        "The face shows happiness, the voice anger.",
        "No wonder you are angry.",
    ],
)
def test_what_is_true_passes(text):
    assert faults(text, ONE, movements) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Early on, the corners of the mouth rise, mostly on the person's right side.", "movement"),  # wrong side
        ("Early on, the inner brows rise.", "movement"),  # wrong part
        ("Early on, the corners of the mouth turn down.", "movement"),  # wrong direction
        ("First the brows draw together. Then the cheeks lift.", "order"),
        ("At about 3.5 seconds, the cheeks lift.", "movement"),  # wrong time
        ("Near the end, the cheeks lift.", "time"),
        ("At 9.0 seconds, the cheeks lift.", "time"),  # after the end
        ("The person shakes the head.", "movement"),
        ("The face shows fear.", "feeling"),
        ("The voice sounds sad.", "feeling"),
        ("There is no anger in the voice.", "feeling"),
        ('The person says "They chose me?"', "words"),
        ("The person speaks from 0.2 to 1.0 seconds.", "time"),
        ("Nobody speaks in this clip.", "speaker"),
        ("There are two people here.", "count"),
        ("The voice is quiet and slow.", "voice"),
        ("I count seven blinks.", "count"),
    ],
)
def test_what_is_wrong_is_named(text, kind):
    assert [f.split(":")[0] for f in faults(text, ONE, movements)][:1] == [kind], faults(text, ONE, movements)


def test_several_people_are_told_apart():
    left, right = sorted(TWO.people, key=lambda p: p.seat)
    assert (left.seat, right.seat) == ("on the left", "on the right")
    assert faults('The person on the right says, "He lied to all of us."', TWO, movements) == []
    assert faults('The person on the left says, "He lied to all of us."', TWO, movements)
    assert faults("The person on the left looks angry.", TWO, movements)
    assert faults("The person on the right looks angry.", TWO, movements) == []
    assert faults("The person in the middle speaks.", TWO, movements)
    assert faults("The brows draw together.", TWO, movements, subject=right.index) == []
    assert faults("The brows draw together.", TWO, movements, subject=left.index)


def test_a_denied_movement_must_leave_no_trace():
    assert denial_faults("the cheeks lift.", ONE, movements)
    assert denial_faults("the person nods.", ONE, movements)
    assert denial_faults("the lips purse.", ONE, movements) == []


def test_action_units_are_those_of_the_frames():
    assert unit_row_faults("at 0.5 s AU12 lip corner puller (left)", ONE.main) == []
    assert unit_row_faults("at 0.5 s AU5 upper lid raiser", ONE.main) == ["unit: AU5 is never active"]


def test_hidden_and_cut_off_movements_are_not_told():
    late = open_scenes.event("expression", 4.4, 4.95, 6.0, 6.0, "fear", {"eyeWideLeft": 0.9, "eyeWideRight": 0.9})
    scene = scene_of(open_scenes.truth(open_scenes.person([open_scenes.SMILE, late], covered=[0.4, 2.0])))
    assert scene.main.shown == ()
    assert [e.name for e in scene.main.hidden] == ["happy", "fear"]


def test_the_tone_of_a_voice_is_found_again():
    from emollm.data.open_corpus.phrases import pool
    from emollm.synth.speech import PROSODY

    assert {k: tuple(v) for k, v in pool("clip_stories")["prosody"].items()} == {k: v for k, v in PROSODY.items() if k != "neutral"}
    for family, full in PROSODY.items():
        for strength in (0.6, 1.0):
            values = [1 + (f - 1) * strength for f in full[:3]]
            given = dict(zip(("pitch", "range", "rate"), (round(v, 3) for v in values), strict=True)) | {
                "gain_db": round(full[3] * strength, 2)
            }
            assert tone_of(given) in {family, None}
    assert tone_of({"pitch": 1.15, "range": 1.4, "rate": 1.12, "gain_db": 6.0}) == "angry"
