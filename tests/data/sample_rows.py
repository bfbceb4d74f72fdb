"""A good line of a unified JSONL file as a mapping, to be changed by tests."""

EMOTION = {"type": "emotion", "label": "joy", "label_set": ["joy", "anger"]}


def row(**changes):
    whole = {
        "schema_version": 1,
        "id": "meld/train/dia0_utt1",
        "corpus": "meld",
        "split": "train",
        "media": {"video": "train_splits/dia0_utt1.mp4"},
        "transcript": "You must be kidding.",
        "language": "en",
        "speaker": "Joey",
        "tasks": [EMOTION],
        "level": "perception",
        "licence": "GPL-3.0",
    }
    return {k: v for k, v in {**whole, **changes}.items() if v is not None}
