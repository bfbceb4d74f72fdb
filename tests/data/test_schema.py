import json

import pytest
from sample_rows import EMOTION, row

from emollm.data.schema import LEVEL_OF, SPLITS, UnifiedSample, level_of, parse_sample
from emollm.errors import DataError


def faults(**changes):
    with pytest.raises(DataError) as caught:
        parse_sample(json.dumps(row(**changes)))
    return str(caught.value)


def test_a_line_and_its_sample_are_the_same():
    sample = parse_sample(json.dumps(row()))
    assert parse_sample(sample.line()) == sample and json.loads(sample.line()) == row()
    assert sample.tasks[0].label == "joy" and sample.media.paths() == ("train_splits/dia0_utt1.mp4",)
    with pytest.raises(ValueError, match="frozen"):
        sample.split = "test"


def test_a_sample_of_every_field():
    sample = parse_sample(
        json.dumps(
            row(
                fold=2,
                tasks=[EMOTION, {"type": "reason"}, {"type": "empathy"}, {"type": "valence", "value": -0.5, "scale": [-1, 1]}],
                level="interaction",
                descriptions={"multimodal": {"text": "She laughs.", "origin": "human"}},
                history=[{"role": "user", "text": "I won!"}],
                chain_of_empathy={"event": "a prize", "emotion": "joy", "cause": "winning", "goal": "to share it"},
                reply="How wonderful!",
                peak_frame=0,
            )
        )
    )
    assert sample.descriptions.given() == ("multimodal",) and parse_sample(sample.line()) == sample


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": [{**EMOTION, "label": "hapy"}]}, "tasks.0: label 'hapy' is not in the label set: joy, anger"),
        ({"tasks": [{"type": "emotion", "label_set": ["joy"]}]}, "task 'emotion' needs 'label'"),
        ({"tasks": [{**EMOTION, "value": 1.0}]}, "task 'emotion' has no 'value'; it has: label, label_set"),
        ({"tasks": [{"type": "multi-label", "labels": ["joy", "joy"], "label_set": ["joy"]}]}, "a label is given twice: joy, joy"),
        ({"tasks": [{**EMOTION, "label_set": ["joy", "joy"]}]}, "names a label twice"),
        ({"tasks": [{"type": "valence", "value": 4.0, "scale": [-3, 3]}]}, "value 4 is outside its scale of -3 to 3"),
        ({"tasks": [{"type": "valence", "value": 4.0, "scale": [3, 3]}]}, "scale 3 to 3 is empty"),
        ({"tasks": [{"type": "open-vocabulary", "labels": ["shy"], "label_set": ["shy"]}]}, "has no 'label_set'"),
        ({"tasks": [{"type": "question", "question": "Is she sad?"}], "level": "understanding"}, "task 'question' needs 'answer'"),
        ({"tasks": []}, "no task"),
        ({"level": "interaction"}, "level is 'interaction', but its highest task makes it 'perception'"),
        ({"tasks": [{"type": "reason"}], "level": "understanding"}, "task 'reason' needs descriptions.multimodal"),
        ({"tasks": [{"type": "describe"}], "level": "understanding"}, "task 'describe' needs a description"),
        ({"tasks": [{"type": "empathy"}], "level": "interaction"}, "task 'empathy' needs a reply"),
        ({"descriptions": {"audio": {"text": "a low voice"}}}, "descriptions.audio: a description names its origin"),
        ({"descriptions": {"audio": {"text": "a low voice", "origin": " "}}}, "a description names its origin"),
        (
            {"history": [{"role": "user", "text": "a"}, {"role": "user", "text": "b"}]},
            "history does not alternate: turns 1 and 2 are both of the user",
        ),
        ({"history": [{"role": "assistant", "text": "a"}], "reply": "b"}, "history ends with the assistant, who is to reply"),
        ({"peak_frame": -1}, "peak_frame: frame -1 does not exist"),
        ({"peak_frame": 3, "media": {"audio": "a.wav"}}, "a peak frame is a frame of a video"),
        ({"media": {"video": "/data/a.mp4"}}, "media.video: '/data/a.mp4' is no relative path"),
        ({"media": {"video": "../a.mp4"}}, "is no relative path"),
        ({"media": None, "transcript": None}, "nothing to see, hear or read"),
        ({"language": "eng"}, "language: 'eng' is no ISO 639-1 code"),
        ({"split": "dev"}, "split: input should be 'train', 'val' or 'test', found 'dev'"),
        ({"licence": None}, "licence: missing"),
        ({"emotion": "joy"}, "emotion: unknown field; known beside others: chain_of_empathy, corpus"),
        ({"schema_version": 2}, "schema_version: input should be 1, found 2"),
        ({"id": 7}, "id: input should be a valid string, found 7"),
        ({"chain_of_empathy": {"event": "x", "emotion": "y", "cause": "z", "goal": "w"}}, "a chain of empathy leads to a reply"),
    ],
)
def test_faults_are_told_with_their_field(changes, said):
    assert said in faults(**changes)


def test_all_faults_of_a_sample_come_at_once():
    found = faults(level="interaction", media={"audio": "a.wav"}, peak_frame=3)
    assert "level is" in found and "peak frame" in found


def test_bad_json_is_told():
    with pytest.raises(DataError, match="not valid JSON"):
        parse_sample("{")


def test_the_level_is_that_of_the_highest_task():
    assert level_of(["emotion", "empathy", "reason"]) == "interaction"
    assert level_of(["emotion", "intent"]) == "understanding"
    assert set(LEVEL_OF) == set(UnifiedSample.model_fields["tasks"].annotation.__args__[0].model_fields["type"].annotation.__args__)
    assert SPLITS == ("train", "val", "test")
