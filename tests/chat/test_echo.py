import pytest

from emollm.chat.echo import EchoBackend
from emollm.errors import BackendError, MediaError
from emollm.values import Message, Sampling


def ask(text, *clips, **sampling):
    return EchoBackend().reply([Message("user", text, clips)], Sampling(**sampling))


@pytest.mark.parametrize(
    ("name", "kind", "missing"),
    [
        ("video.mp4", "video", "does not look for faces"),
        ("silent.mp4", "video", "does not look for faces"),
        ("sound.wav", "audio", "no picture"),
        ("picture.png", "image", "does not look for faces"),
    ],
)
def test_analysis_is_a_real_decoding_with_nothing_measured(clips_folder, name, kind, missing):
    analysis = EchoBackend().analyze(clips_folder / name)
    assert (analysis.kind, analysis.name) == (kind, name)
    assert analysis.faces == () and analysis.voice is None and analysis.words is None and not analysis.features
    assert missing in analysis.missing["face"]
    assert ("no sound" in analysis.missing["voice"]) == (name in ("silent.mp4", "picture.png"))


@pytest.mark.parametrize("form", [{"schema": "{}"}, {"logprobs": 2}, {"deadline_s": 1.0}])
def test_forms_it_cannot_give_are_refused(form):
    with pytest.raises(BackendError, match=next(iter(form))):
        EchoBackend().reply([Message("user", "Hello")], Sampling(**form))


def test_same_content_is_decoded_once_whatever_its_name(clips_folder, tmp_path):
    backend = EchoBackend()
    (tmp_path / "again.mp4").write_bytes((clips_folder / "video.mp4").read_bytes())
    first, again = backend.analyze(clips_folder / "video.mp4"), backend.analyze(tmp_path / "again.mp4")
    assert backend.decodes == 1
    assert (first.digest, first.name, again.name) == (again.digest, "video.mp4", "again.mp4")
    backend.reply([Message("user", "hi", (tmp_path / "again.mp4",))], Sampling()).text()
    assert backend.decodes == 1


def test_progress_runs_from_start_to_end(clips_folder):
    shares = []
    EchoBackend().analyze(clips_folder / "sound.wav", lambda share, what: shares.append(share))
    assert shares == [0.0, 1.0]


def test_reply_names_clips_turns_and_question(clips_folder):
    reply = EchoBackend().reply(
        [
            Message("system", "Be kind."),
            Message("user", "one"),
            Message("assistant", "ok"),
            Message("user", "two", (clips_folder / "sound.wav",)),
        ],
        Sampling(),
    )
    assert reply.text() == "Turn 2, with a system message. Clips: audio of 0.5 s. You said: two"
    assert reply.finish_reason == "stop"
    # "Be kind." 2 + "one" 1 + "ok" 1 + "two" 1 + one clip 32 = 37 asked; the 14 words above written.
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (37, 14)


def test_a_word_is_a_token():
    reply = ask("hello", max_new_tokens=3)
    assert (list(reply), reply.finish_reason, reply.usage.completion_tokens) == (["Turn", " 1.", " Clips:"], "length", 3)


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (("Clips",), "Turn 1. "),
        (("s: none. You",), "Turn 1. Clip"),  # spans three pieces
        (("Turn",), ""),
        (("never", "none"), "Turn 1. Clips: "),
        (("hello!",), "Turn 1. Clips: none. You said: hello"),  # begins like the end, but is not there
    ],
)
def test_stop_strings_end_the_reply_and_are_not_part_of_it(stop, text):
    reply = ask("hello", stop=stop)
    assert (reply.text(), reply.finish_reason) == (text, "stop")


def test_cancel_stops_at_the_next_piece():
    reply = ask("a b c d e f")
    pieces = iter(reply)
    next(pieces)
    reply.cancel()
    assert list(pieces) == []
    assert reply.finish_reason == "cancelled"


def test_scores_sum_to_one_and_favour_shared_words():
    scores = EchoBackend().score([Message("user", "is this person happy or sad today")], ["happy", "angry"])
    assert sum(scores.values()) == pytest.approx(1)
    assert scores["happy"] == pytest.approx(0.7311, abs=1e-4)  # e^1 / (e^1 + e^0)


def test_faults(tmp_path):
    backend = EchoBackend()
    with pytest.raises(BackendError, match="is empty"):
        backend.reply([], Sampling())
    with pytest.raises(BackendError, match="'assistant'"):
        backend.reply([Message("user", "a"), Message("assistant", "b")], Sampling())
    with pytest.raises(BackendError, match="no labels"):
        backend.score([Message("user", "a")], [])
    with pytest.raises(MediaError):
        ask("look", tmp_path / "nowhere.mp4").text()
