"""The card over rendered clips: keys, rules, floors, and a run that goes on."""

import json

import numpy as np
import pytest
from eval_command import evaluated
from paths import SAMPLES

from emollm.chat.echo import EchoBackend
from emollm.errors import DataError
from emollm.evaluation.cards import load_card
from emollm.evaluation.exact import right, yes_or_no
from emollm.evaluation.fec import evaluate_fec, films, references_of_films, unmirrored
from emollm.evaluation.measured_caption import measured_caption
from emollm.values import Analysis, FaceReading, FaceTrack, Motion, VoiceReading

CAPTIONS = (
    "Near the start, the inner brows rise. Then the person tilts the head to the left. Near the end, the mouth opens.",
    "Early on, the nose wrinkles. In the middle of the clip, the brows lower. Near the end, the mouth draws into a smile.",
    "In the beginning, the face is relaxed. Near the end, the person nods.",
)
QUESTIONS = (
    ("Which comes first: the mouth opens, or the inner brows rise?", "First the inner brows rise, then the mouth opens.", "order"),
    ("At what time does this begin: the nose wrinkles?", "At about 1.2 seconds.", "when"),
    ("Is it true that the lips purse?", "No, that does not happen in this clip.", "negative"),
)


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "fec"
    (home / "clips").mkdir(parents=True)
    with (home / "truth.jsonl").open("w", encoding="utf-8") as file:
        for k, (caption, (question, answer, kind)) in enumerate(zip(CAPTIONS, QUESTIONS, strict=True)):
            name = f"val-{k:06d}"
            (home / "clips" / f"{name}.mp4").write_bytes((SAMPLES / f"sample_{'joy' if k % 2 else 'sad'}.mp4").read_bytes())
            row = {
                "name": name,
                "path": f"clips/{name}.mp4",
                "people": [{"main": True, "appearance": {"age": "young" if k else "older", "skin": "dark"}}],
                "captions": [{"plain": caption, "questions": [{"question": question, "answer": answer, "kind": kind}]}],
                "questions": [{"question": "How many people are in the clip?", "answer": "Two.", "kind": "scene"}],
            }
            file.write(json.dumps(row) + "\n")
    return home


@pytest.mark.parametrize(
    ("kind", "question", "truth", "said", "good"),
    [
        ("when", QUESTIONS[1][0], "At about 1.2 seconds.", "It begins at 1.9 s.", True),
        ("when", QUESTIONS[1][0], "At about 1.2 seconds.", "At 2 seconds.", False),
        ("when", QUESTIONS[1][0], "At about 1.2 seconds.", "Soon.", False),
        ("order", QUESTIONS[0][0], QUESTIONS[0][1], "The inner brows rise, and later the mouth opens.", True),
        ("order", QUESTIONS[0][0], QUESTIONS[0][1], "The mouth opens first.", False),
        ("order", QUESTIONS[0][0], QUESTIONS[0][1], "The jaw drops after the inner ends of the brows lift.", True),
        ("order", QUESTIONS[0][0], QUESTIONS[0][1], "I cannot tell.", False),
        ("order", "Do the brows move before or after the person nods?", "Before: the brows lower.", "They move before that.", True),
        ("true", QUESTIONS[2][0], QUESTIONS[2][1], "No.", True),
        ("true", QUESTIONS[2][0], QUESTIONS[2][1], "Yes, it does not look so.", False),
        ("what", "What does the face do after the person stops speaking?", "The brows lower.", "A frown forms.", True),
        ("what", "What does the face do after the person stops speaking?", "The brows lower.", "The mouth opens.", False),
        ("moment", "What do the brows do while the person speaks?", "They begin nothing new.", "Nothing.", True),
        ("moment", "What do the brows do while the person speaks?", "They begin nothing new.", "They rise.", False),
        (
            "reasoning",
            "Which emotion do the signs point to, and why?",
            "It looks like disgust: the nose wrinkles.",
            "She is disgusted.",
            True,
        ),
        ("reasoning", "Which emotion do the signs point to, and why?", "It looks like disgust: x.", "Disgust, fear or anger.", False),
        ("scene", "How many people are in the clip?", "Two.", "I see 2 people.", True),
        ("scene", "Who speaks?", "The person on the right.", "The one on the right.", True),
        ("scene", "Who speaks?", "Nobody speaks in this clip.", "The person on the left.", False),
        ("scene", "Who speaks first, and who answers?", "First the person on the right, then on the left.", "left, then right", False),
        ("scene", "When does the person on the left smile?", "From about 0.5 seconds on.", "At 0:01.", True),
    ],
)
def test_rules_of_every_kind(kind, question, truth, said, good):
    assert right(kind, question, truth, said) is good
    assert right(kind, question, truth, truth) and not right(kind, question, truth, " ")


OPTIONS = "What is shown? A. a smile B. a frown C. both of them"


@pytest.mark.parametrize(
    ("kind", "question", "truth", "said", "good"),
    [
        ("multiple choice", OPTIONS, "B", "B", True),
        ("multiple choice", OPTIONS, "B", "(B) a frown", True),
        ("multiple choice", OPTIONS, "B", "The answer is B.", True),
        ("multiple choice", OPTIONS, "B", "It is a frown, I think", True),
        ("multiple choice", OPTIONS, "B. a frown", "b", False),  # no word of it: an article may be a small letter
        ("multiple choice", OPTIONS, "B", "A, B, C", False),
        ("multiple choice", OPTIONS, "B", "a smile or a frown", False),
        ("multiple choice", OPTIONS, "B", "A person smiles", False),
        ("numerical", "How many?", "2", "There are two people", True),
        ("numerical", "How many?", "2", "2.0", True),
        ("numerical", "How many?", "2", "1, 2 or 3", False),
        ("numerical", "How many?", "2", "many", False),
    ],
)
def test_options_and_numbers(kind, question, truth, said, good):
    assert right(kind, question, truth, said) is good and right(kind, question, truth, truth)


def test_yes_and_no_in_other_words():
    assert [yes_or_no(x) for x in ("Yes, it does happen.", "It does not.", "That is true", "not true", "Maybe")] == [
        "yes",
        "no",
        "yes",
        "no",
        "",
    ]


def test_tilts_of_the_first_truth_are_turned_round(folder):
    assert unmirrored("tilts the head to the left, turns the head to the left") == "tilts the head to the right, turns the head to the left"
    captions, questions = references_of_films(load_card("synth-fec"), films(folder))
    assert "tilts the head to the right" in captions[0].captions[0]
    assert captions[0].group == {"age": "older", "skin": "dark"}
    assert {q.kind for q in questions} == {"order", "when", "true", "scene"}
    with pytest.raises(DataError, match="emollm synth --out"):
        films(folder / "clips")


def test_a_run_has_all_floors_and_goes_on(folder, tmp_path):
    class Counting(EchoBackend):
        asked = 0

        def reply(self, messages, sampling):
            Counting.asked += 1
            return super().reply(messages, sampling)

    card = load_card("synth-fec")
    found = evaluate_fec(card, Counting(), folder, tmp_path / "o")
    # 3 captions, 6 questions; again without the clip (a caption, 4 different questions) and with another one (6)
    assert Counting.asked == 3 + 6 + 1 + 4 + 6
    evaluate_fec(card, Counting(), folder, tmp_path / "o")
    assert Counting.asked == 20
    assert {"template", "text_only", "shuffled_media", "measured", "another_caption"} <= set(found["floors"])
    questions = json.loads((tmp_path / "o" / "questions" / "results.json").read_text("utf-8"))
    assert {"majority", "best_constant", "copied", "text_only", "shuffled_media"} <= set(questions["floors"])
    assert {"order_accuracy", "when_accuracy", "true_accuracy", "scene_accuracy", "mean_accuracy"} <= set(questions["metrics"])
    assert set(found["groups"]["age"]) == {"older", "young"} and found["warnings"][0].startswith("tem")


def test_the_command_takes_a_file_of_answers(folder, tmp_path, capsys):
    captions, questions = references_of_films(load_card("synth-fec"), films(folder))
    truth = [{"id": r.id, "prediction": r.captions[0]} for r in captions] + [{"id": r.id, "prediction": r.label} for r in questions]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in truth), "utf-8")
    code, text, _ = evaluated(capsys, "synth-fec", "--predictions", path, "--data", folder, "--out", tmp_path / "o")
    assert code == 0 and "**1.000**" in text
    assert json.loads((tmp_path / "o" / "results.json").read_text("utf-8"))["members"]["questions: mean_accuracy"] == 1.0
    assert "a folder of `emollm synth`" in evaluated(capsys, "synth-fec", "--predictions", path)[2]


def test_a_caption_from_measurements_alone():
    track = FaceTrack(np.arange(4), np.arange(4) / 4, np.zeros((4, 4)), np.zeros((4, 468, 3)), np.zeros((4, 2, 3)), np.ones(4))
    moved = (
        Motion(0.2, 0.5, 1.0, "mouthSmile", "left", 0.8),
        Motion(0.3, 0.5, 1.0, "nod", "", 0.6),
        Motion(5.0, 5.2, 6.0, "browDown", "", 0.5),
    )
    face = FaceReading(track, ("neutral",), np.ones((4, 1)), (), motions=moved)
    voice = VoiceReading(((3.0, 4.0),), ("calm",), np.ones(1), 100.0, 3.0, -20.0, (), (0,))
    text = measured_caption(Analysis("c", "video", "d", 6.0, (face,), voice, None, {}, {}, {}))
    assert text == (
        "Near the start, the person nods. At the same time, the corners of the mouth rise on the left side. Then the face relaxes again. "
        "In the middle of the clip, the lips move as the person speaks. Near the end, the brows draw down and together."
    )
    assert measured_caption(Analysis("c", "video", "d", 6.0, (), None, None, {}, {}, {})) == "No face is visible."
