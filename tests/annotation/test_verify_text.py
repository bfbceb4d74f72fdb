"""The verifier: sentences of our own pass, wrong ones do not, and what cannot be measured is told apart."""

import pytest
from stubs import clip

from emollm.annotation.audio_agent import listen
from emollm.annotation.consolidate import consolidate
from emollm.annotation.transcript_agent import read
from emollm.annotation.units_agent import look_at_units
from emollm.annotation.verify import Measured, check, sentences, verify
from emollm.annotation.visual_agent import look

SEEN = clip(sound="calm", said="I am so happy today. Really.", turn=25.0)


@pytest.mark.parametrize(
    "analysis",
    [
        SEEN,
        clip(sound="sad", said="Close the door.", units={}, course=("neutral",)),
        clip(sound="surprise", said="I did not expect this.", units={"browInnerUp": 0.7, "mouthFrown": 0.6}, course=("sad", "angry")),
        clip(faces=(), sound="bored"),
        clip(units={"noseSneer": 0.7, "mouthUpperUp": 0.6, "browDown": 0.5, "eyeSquint": 0.6, "jawOpen": 0.4}, course=("disgust",)),
        clip(units={"mouthPress": 0.5, "mouthPucker": 0.5, "mouthStretch": 0.5, "eyeWide": 0.5}),
        clip(units={"cheekPuff": 0.5, "jawForward": 0.5, "mouthDimple": 0.5, "mouthLowerDown": 0.5}),
        clip(units={"browOuterUp": 0.5, "mouthShrugLower": 0.5}),
    ],
)  # fmt: skip
def test_every_sentence_of_the_local_agents_is_borne_out(analysis):
    findings = {"units": look_at_units(analysis), "visual": look(analysis), "audio": listen(analysis), "transcript": read(analysis)}
    text = consolidate(findings).text
    wrong = [c for c in verify(text, Measured(analysis)).checks if c[1] != "supported"]
    assert text and not wrong


@pytest.mark.parametrize(
    ("sentence", "status"),
    [
        ("The person looks happy at 3.0 s.", "supported"),
        ("The face looks happy at 0.5 s.", "unsupported"),
        ("The person is furious.", "unsupported"),
        ("The face shows no anger.", "supported"),
        ("The face shows no happiness.", "unsupported"),
        ("The voice sounds happy.", "unsupported"),
        ("The corners of the mouth rise.", "supported"),
        ("The brows draw down.", "unsupported"),
        ("At 3.2 s the head turns to the person's left.", "supported"),
        ("At 3.2 s the head turns to the person's right.", "unsupported"),
        ("The head stays nearly still.", "unsupported"),
        ("The voice is slow.", "supported"),
        ("The voice is loud.", "unsupported"),
        ("The pitch is about 205 Hz.", "supported"),
        ("The pitch is about 320 Hz.", "unsupported"),
        ('They say "so happy today".', "supported"),
        ('They say "so angry today".', "unsupported"),
        ("At 9 s the person smiles.", "unsupported"),
        ("Two people are visible.", "unsupported"),
        ("One person is visible.", "supported"),
        ("The woman smiles.", "unchecked"),
        ("The person smiles because of good news.", "unchecked"),
        ("It is a warm scene.", "unchecked"),
        ("Where they disagree, say so.", "unchecked"),
        ("The person speaks.", "supported"),
        ("The words tell of pride and sadness.", "unchecked"),
    ],
)
def test_claims(sentence, status):
    assert check(sentence, Measured(SEEN))[0] == status, check(sentence, Measured(SEEN))


def test_only_supported_sentences_stay_and_all_are_told():
    found = verify('The face looks happy. They are angry. They say: "I am so happy today. Really." In a room.', Measured(SEEN))
    assert found.text == 'The face looks happy. They say: "I am so happy today. Really."'
    assert [c[1] for c in found.checks] == ["supported", "unsupported", "supported", "unchecked"]


def test_sentences_are_not_cut_in_numbers_or_quotations():
    assert sentences('At 2.8 s it begins. They say: "No. Yes." Then it ends.') == [
        "At 2.8 s it begins.", 'They say: "No. Yes."', "Then it ends.",
    ]  # fmt: skip


def test_without_a_face_nothing_is_said_of_one():
    heard = Measured(clip(faces=(), sound="sad"))
    assert check("The person smiles.", heard)[0] == "unsupported"
    assert check("The face looks happy.", heard)[0] == "unsupported"
    assert check("The head stays still.", heard)[0] == "unchecked"
