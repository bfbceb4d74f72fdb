"""Movements read out of captions, and the relation of two of them."""

import random

import pytest

from emollm.evaluation.events import PHASES, Movement, movements, relation
from emollm.evaluation.temporal import tem
from emollm.synth import captions as told
from emollm.synth.motion import Event

STORY = (
    "The video shows a young man. He has curly hair, thin and arched eyebrows and a high nose. "
    "At the beginning of the video, his brows are slightly furrowed, eyes open and looking to the left. "
    "As the video progresses, he lowers his head, and the left corner of his mouth turns up. "
    "In the middle of the video, there is no change in his brows; his eyebrows and nose bridge wrinkle tightly. "
    "Towards the end of the video, he blinks, tilts his head to the right, then stops speaking with his lips closed."
)


def short(text):
    return [(m.part, m.axis, m.sign) for m in movements(text)]


def test_a_story_in_order():
    found = [(m.phase, m.part, m.axis, m.sign, m.side, m.strength) for m in movements(STORY)]
    assert found == [
        ("start", "brows", "furrow", 1, "", -1),
        ("start", "eyes", "open", 1, "", 0),
        ("start", "gaze", "x", 1, "", 0),
        ("progress", "head", "y", -1, "", 0),
        ("progress", "corners", "height", 1, "left", 0),
        ("middle", "brows", "furrow", 1, "", 1),
        ("middle", "nose", "wrinkle", 1, "", 1),
        ("end", "eyes", "blink", 1, "", 0),
        ("end", "head", "roll", -1, "", 0),
        ("end", "speech", "on", -1, "", 0),
        ("end", "mouth", "open", -1, "", 0),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Her upper lip lifts.", [("upper lip", "height", 1)]),
        ("The lower lip drops.", [("lower lip", "height", -1)]),
        ("The brows lower.", [("brows", "height", -1)]),
        ("The gaze drops to the left.", [("gaze", "y", -1), ("gaze", "x", 1)]),
        ("The eyes turn down.", [("gaze", "y", -1)]),
        ("His eyes widen, then narrow.", [("eyes", "open", 1), ("eyes", "open", -1)]),
        ("The head turns from side to side.", [("head", "shake", 1)]),
        ("He opens his mouth.", [("mouth", "open", 1)]),
        ("She smiles and nods.", [("corners", "height", 1), ("head", "nod", 1)]),
        ("She tilts her head upwards.", [("head", "y", 1)]),
        ("The lips do not part.", []),
        ("Nothing in the face changes.", []),
        ('The person speaks, saying "I close my eyes".', [("speech", "on", 1)]),
        ("He wears a hat and has an open collar.", []),
        ("", []),
    ],
)
def test_sentences(text, found):
    assert short(text) == found


def test_times_sides_strength_and_other_people():
    found = movements(
        "At about 1.5 seconds the brows rise, mostly on the person's left side, strongly. At 0:03 the person on the left nods."
    )
    assert [(m.time_s, m.side, m.strength, m.who) for m in found] == [(1.5, "left", 1, ""), (3.0, "", 0, "left")]


@pytest.mark.parametrize("phrase", [p for phrases in told._DOING.values() for p in phrases])
def test_every_phrase_of_our_own_captions_is_read_once(phrase):
    assert len(short(f"{phrase.capitalize()}.")) == 1


@pytest.mark.parametrize("phrase", told._MOVES.values())
def test_every_move_of_our_own_captions_is_read_once(phrase):
    assert len(short(f"The person {phrase}.")) == 1


def move(part="brows", axis="height", sign=1, **rest):
    return Movement(part, axis, sign, **rest)


def test_relation_by_part_and_direction():
    assert relation(move(), move()) == "entailed"
    assert relation(move(), move(sign=-1)) == "contradicted"
    assert relation(move(), move("corners")) == "neutral"
    assert relation(move(), move(axis="furrow")) == "neutral"
    assert relation(move(strength=1), move(strength=-1)) == "entailed"
    assert relation(move(who="left"), move()) == "neutral"


def test_relation_by_side():
    assert relation(move(side="left"), move()) == "entailed"
    assert relation(move(), move(side="left")) == "entailed"  # brows told without a side are both
    assert relation(move(side="left"), move(side="both")) == "neutral"
    assert relation(move(side="left"), move(side="right")) == "neutral"
    assert relation(move(side="left"), move(sign=-1, side="right")) == "neutral"
    assert relation(move("inner brows"), move()) == "entailed"
    assert relation(move(), move("inner brows")) == "neutral"


def test_relation_by_time():
    assert relation(move(phase="start"), move(phase="end")) == "neutral"
    assert relation(move(phase="start"), move(sign=-1, phase="end")) == "neutral"  # up at first, down later: no contradiction
    assert relation(move(phase="progress"), move(phase="middle")) == "entailed"
    assert relation(move(phase="start"), move()) == "entailed"
    assert relation(move(time_s=1.0), move(time_s=1.8)) == "entailed"
    assert relation(move(time_s=1.0), move(time_s=3.0)) == "neutral"


def test_relation_properties():
    rng = random.Random(0)

    def any_move():
        part, axis = rng.choice([("brows", "height"), ("eyes", "open"), ("head", "x")])
        return move(part, axis, rng.choice((1, -1)), side=rng.choice(("", "left", "right", "both")), phase=rng.choice(("", *PHASES)))

    for _ in range(300):
        a, b = any_move(), any_move()
        assert relation(a, a) == "entailed"
        assert (relation(a, b) == "contradicted") == (relation(b, a) == "contradicted")


def test_two_tellings_of_one_truth_agree_and_of_two_truths_do_not():
    smile = Event("expression", 0.5, 0.9, 1.6, 2.0, "happy", 0.9, "both", {"mouthSmileLeft": 0.9, "cheekSquintLeft": 0.6})
    wide = Event("expression", 2.4, 2.8, 3.0, 3.2, "surprise", 0.8, "both", {"eyeWideLeft": 0.9, "jawOpen": 0.6})
    frown = Event("expression", 0.5, 0.9, 1.6, 2.0, "sad", 0.9, "both", {"mouthFrownLeft": 0.9, "eyeSquintLeft": 0.6})
    nod = Event("nod", 3.3, 3.4, 3.6, 3.8, "down", 0.7)
    turn = Event("turn", 2.4, 2.5, 3.0, 3.4, "left", 0.7)
    look = {"age": "young", "skin": "light", "hair": "short black hair"}
    one = {"appearance": look, "events": [e.as_json() for e in (smile, wide, nod)]}
    other = {"appearance": look, "events": [e.as_json() for e in (frown, turn)]}
    for seed in range(20):
        rng = random.Random(seed)
        plain, story = movements(told.plain(one, 4.0, rng)), movements(told.fda(one, 4.0, rng))
        strange = movements(told.fda(other, 4.0, rng))
        # corners, cheeks, eyes, mouth and nod in both; only what is said of the calm face in between may differ
        assert tem(plain, story, relation).content >= 2 * 5 / (len(plain) + len(story))
        assert tem(plain, story, relation).tem > 0.7
        assert tem(plain, strange, relation).tem < 0.4


def read(caption):
    return [(m.part, m.axis, m.sign) for m in movements(caption)]


def test_what_reading_thirty_human_captions_mended():
    assert read("She pauses while talking, then turns her head.") == [("speech", "on", -1), ("head", "moves", 1)]
    # lines of the forehead come with raised brows; without them they are a frown
    assert read("The eyebrows rise, wrinkles appear on the forehead.") == [("brows", "height", 1)]
    assert read("Wrinkles appear on the forehead.") == [("brows", "furrow", 1)]
    assert read("The wrinkles between the brows disappear.") == [("brows", "furrow", -1)]
    assert read("She looks to the upper right.") == [("gaze", "y", 1), ("gaze", "x", -1)]
    assert read("Her head turns to the left and slightly up.") == [("head", "x", 1), ("head", "y", 1)]
    assert read("His head leans to the left.") == [("head", "roll", 1)] and read("His body leans to the right.") == []
    assert read("He retracts his head.") == [("head", "z", -1)] and read("She extends her head forward.") == [("head", "z", 1)]
    assert read("The lower lip moves upward.") == [("lower lip", "height", 1)] and read("The eyes move down.") == [("gaze", "y", -1)]


def test_what_is_done_again_is_told_again():
    blinks = read("He blinks, turns his head to the right, and blinks again.")
    assert [axis for _, axis, _ in blinks] == ["blink", "x", "blink"]
    assert len(read("The mouth is open, the mouth slightly ajar.")) == 1
    assert [sign for _, axis, sign in read("The gaze shifts left, shifts right, then shifts left.") if axis == "x"] == [1, -1, 1]
