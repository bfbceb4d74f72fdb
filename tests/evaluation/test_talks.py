import json

import pytest
from eval_command import evaluated

from emollm.chat.echo import EchoBackend
from emollm.errors import DataError
from emollm.evaluation.talk_clips import clip_of
from emollm.evaluation.talks import Dialogue, Question, dialogues, evaluate_talks, floors
from emollm.media.decode import decode_clip


def test_an_answer_is_held_against_both_patterns():
    question = Question("How was it?", any="glad|sorry", none="\\b988\\b")
    assert question.right("I am GLAD.")
    assert not any(question.right(wrong) for wrong in ("Fine.", "Sorry, call 988.", ""))
    assert Question("?").right("anything") and not Question("?").right("  ")


def test_all_conversations_can_be_held(tmp_path):
    known = dialogues("dialogues.jsonl")
    assert len(known) == 200 and len({d.id for d in known}) == 200
    for name in {d.clip for d in known} - {None}:
        assert clip_of(name, tmp_path).is_file()
    with pytest.raises(DataError, match="joy"):
        clip_of("jooy", tmp_path)


def test_parts_of_a_clip_lack_what_they_should(tmp_path):
    whole, silent = decode_clip(clip_of("joy", tmp_path)), decode_clip(clip_of("joy-silent", tmp_path))
    assert whole.audio is not None and silent.audio is None and len(silent.frames) == len(whole.frames)
    sound = decode_clip(clip_of("joy-sound", tmp_path))
    assert not len(sound.frames) and sound.audio is not None and abs(len(sound.audio) - len(whole.audio)) < 3200
    assert len(decode_clip(clip_of("joy-still", tmp_path)).frames) == 1


def test_every_kind_is_counted_and_a_stopped_run_goes_on(tmp_path):
    seen = []

    class Counting(EchoBackend):
        def reply(self, messages, sampling):
            seen.append(messages[-1].text)
            return super().reply(messages, sampling)

    first = evaluate_talks("dialogues.jsonl", Counting(), tmp_path, card="x", version=1, limit=20)
    assert first["n"] == 20 and sum(k["of"] for k in first["kinds"].values()) == 20 and len(first["kinds"]) > 5
    asked = len(seen)
    lines = (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()
    (tmp_path / "answers.jsonl").write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:20], "utf-8")  # the last one half written
    again = evaluate_talks("dialogues.jsonl", Counting(), tmp_path, card="x", version=1, limit=20)
    assert again["metrics"] == first["metrics"] and len(seen) - asked == len(json.loads(lines[-1])["said"])
    right = [json.loads(line)["right"] for line in lines]
    assert first["metrics"]["right_turns"] == pytest.approx(sum(map(sum, right)) / sum(map(len, right)), abs=1e-4)


def test_the_command_needs_no_data_folder_and_no_file_of_answers(tmp_path, capsys):
    code, out, _ = evaluated(capsys, "open-talks", "--system", "echo", "--limit", 6, "--out", tmp_path)
    assert code == 0 and "| open-talks | ours | 6 | right_throughout |" in out
    assert json.loads((tmp_path / "results.json").read_text("utf-8"))["kinds"]
    code, _, err = evaluated(capsys, "open-talks", "--predictions", __file__, "--out", tmp_path)
    assert code == 2 and "hangs on the answer before" in err


def test_floors_by_hand():
    known = [
        Dialogue("a", "k", None, (Question("Hi", any="sorry"),)),
        Dialogue("b", "k", None, (Question("glad", any="glad"), Question("x", none="happy"))),
    ]
    found = floors(known)
    assert found["stock_answer"].measures == {"right_throughout": 0.5, "right_turns": 0.6667} and "sorry" in found["stock_answer"].answer
    assert found["users_own_words"].measures == {"right_throughout": 0.5, "right_turns": 0.6667}


def test_who_does_not_listen_is_told_so(tmp_path):
    found = evaluate_talks("dialogues.jsonl", EchoBackend(), tmp_path, card="x", version=1, limit=20)
    assert found["metrics"]["right_throughout"] <= found["floors"]["stock_answer"]["right_throughout"]
    assert any("does not exceed its floor" in line for line in found["warnings"])
