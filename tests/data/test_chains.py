import pytest

from emollm.data.chains import STEPS, read_chain, read_thought, write_chain, write_thought
from emollm.data.schema import ChainOfEmpathy

CHAIN = ChainOfEmpathy(event="a missed train", emotion="angry", cause="the driver: he saw them", goal="to show\nunderstanding")


def test_what_is_written_is_read_back():
    text = write_chain(CHAIN, "Oh no. That is infuriating!\n\nShall we look for the next one?")
    assert text.splitlines()[:4] == [
        "Event: a missed train", "Emotion: angry", "Cause: the driver: he saw them", "Goal: to show understanding"
    ]  # fmt: skip
    chain, reply = read_chain(text)
    assert chain == CHAIN.model_copy(update={"goal": "to show understanding"})
    assert reply == "Oh no. That is infuriating!\n\nShall we look for the next one?"
    assert write_chain(chain, reply) == text


@pytest.mark.parametrize(
    "text", ["I am sorry.", "", "Event: x\nEmotion: y\nI am sorry.", "Event: x\nEmotion: y\nCause: z", "Goal: to be heard. That is all."]
)
def test_without_all_four_steps_all_is_reply(text):
    assert read_chain(text) == (None, text.strip())


def test_marks_and_case_of_a_careless_writer():
    chain, reply = read_chain("**Event:** rain\n- emotion: sad\n\n3. CAUSE: no coat\nGoal : warmth\nCome in.")
    assert {n: getattr(chain, n) for n in STEPS} == {"event": "rain", "emotion": "sad", "cause": "no coat", "goal": "warmth"}
    assert reply == "Come in."


def test_thoughts():
    text = write_thought("The brows rise. ", "surprise")
    assert text == "The brows rise.\nAnswer: surprise" and read_thought(text) == ("The brows rise.", "surprise")
    assert read_thought("happy") == ("", "happy")
    assert read_thought("I would Answer: no.\nAnswer: a\nAnswer: b") == ("I would Answer: no.\nAnswer: a", "b")
