import numpy as np
import pytest
from paths import HAVE_WEIGHTS, SAMPLES

from emollm import weights
from emollm.encoders.prosody import speech_spans
from emollm.encoders.speech import Spoken, Whisper, _segments, joined, windows_of
from emollm.media.decode import decode_clip


def test_windows_cut_in_pauses():
    assert windows_of(10.0, ()) == [(0.0, 10.0)]
    spans = ((0.0, 20.0), (21.0, 50.0))
    cuts = windows_of(50.0, spans)
    assert [b for _, b in cuts[:-1]] == [a for a, _ in cuts[1:]] and cuts[0][0] == 0 and cuts[-1][1] == 50
    assert (20.5 in {b for _, b in cuts}) and all(b - a <= 29 for a, b in cuts)


@pytest.mark.parametrize("seconds", [29.0, 29.1, 57.9, 58.1, 61.0, 87.0, 600.0])
def test_windows_are_never_too_long(seconds):
    rng = np.random.default_rng(0)
    edges = np.sort(rng.uniform(0, seconds, 40))
    cuts = windows_of(seconds, tuple(zip(edges[::2], edges[1::2], strict=True)))
    assert max(b - a for a, b in cuts) <= 29 + 1e-9 and sum(b - a for a, b in cuts) == pytest.approx(seconds)
    assert len(cuts) <= np.ceil(seconds / 29 / 0.85)


def test_windows_written_down_together_say_what_they_say_alone(whisper):
    sounds = [decode_clip(SAMPLES / f"sample_{name}.mp4").audio for name in ("joy", "sad")]
    long = np.concatenate([sounds[0], sounds[1], sounds[0], sounds[1], sounds[0]])
    spans = speech_spans(long)
    windows = list(whisper.windows(long, spans))
    assert len(windows) > 1
    alone = [joined(whisper.windows(sound, speech_spans(sound))).transcript.text for sound in sounds]
    together = " ".join(s.text for w in windows for s in w.segments)
    letters = lambda text: "".join(c for c in text.lower() if c.isalpha() or c == " ").split()  # noqa: E731
    wanted = letters(" ".join([*alone, *alone, alone[0]]))
    assert abs(len(letters(together)) - len(wanted)) <= 3
    assert sum(a == b for a, b in zip(letters(together), wanted, strict=False)) >= 0.8 * len(wanted)
    starts = [w.start_s for window in windows for s in window.segments for w in s.words]
    assert starts == sorted(starts)


def test_a_window_that_is_cut_short_keeps_what_it_has_and_leaves_its_neighbours_alone(whisper, monkeypatch):
    """Every window is written once: what transformers would go on with is sound, which it is not given here."""
    sound = decode_clip(SAMPLES / "sample_joy.mp4").audio
    write = whisper._model.generate
    monkeypatch.setattr(whisper._model, "generate", lambda **named: write(**{**named, "max_new_tokens": 14}))
    whole, quiet = (
        whisper.encode(s, len(sound) / 16000)[-1] for s in (sound, np.concatenate([sound[:40000], np.zeros_like(sound[40000:])]))
    )
    seconds = len(sound) / 16000
    for states in ((whole, quiet), (quiet, whole), (whole,)):
        told = whisper.transcribe([Spoken(state, seconds, 0.0, seconds) for state in states], language="en")
        texts = [t.text for t in told]
        assert len(texts) == len(states) and all("did not expect" in text for text in texts), texts
        assert all(text.count("expect") == 1 for text in texts), texts


def test_time_stamps_are_parsed():
    found = _segments("<|startoftranscript|><|en|><|0.00|> Hello there.<|1.40|><|1.60|> Bye.<|endoftext|>", 10.0, 14.0)
    assert [(s.start_s, s.end_s, s.text) for s in found] == [(10.0, 11.4, "Hello there."), (11.6, 14.0, "Bye.")]


@pytest.fixture(scope="module")
def whisper():
    if not HAVE_WEIGHTS:
        pytest.skip("needs `emollm weights pull mini`")
    return Whisper(weights.locate("whisper-base"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("joy", "i did not expect this at all they said yes i am so happy i can hardly believe it"),
        ("sad", "i waited all evening nobody called i just feel very alone tonight"),
    ],
)
def test_one_pass_gives_words_and_layers(whisper, name, text):
    audio = decode_clip(SAMPLES / f"sample_{name}.mp4").audio
    heard = joined(whisper.windows(audio, speech_spans(audio)))
    words = "".join(c for c in heard.transcript.text.lower() if c.isalpha() or c == " ").split()
    wrong = len(set(text.split()) ^ set(words))
    assert heard.transcript.language == "en" and wrong <= 2, heard.transcript.text
    assert heard.layers.shape[0] == 7 and heard.layers.shape[2] == 512
    assert heard.layers.shape[1] == pytest.approx(len(audio) / 16000 * 12.5, abs=2)
    said = [w for s in heard.transcript.segments for w in s.words]
    assert [w.text for w in said] == heard.transcript.text.split()
    starts = [w.start_s for w in said]
    assert starts == sorted(starts) and all(w.start_s < w.end_s and 0 < w.probability <= 1 for w in said)
    assert starts[0] == pytest.approx(speech_spans(audio)[0][0], abs=0.15)  # not in the silence before
    ends = [s.end_s for s in heard.transcript.segments]
    assert ends == sorted(ends) and ends[-1] <= len(audio) / 16000 + 0.1


def test_short_windows_hear_what_whole_windows_hear(whisper):
    """The shortened window must cost no words."""
    audio = decode_clip(SAMPLES / "sample_sad.mp4").audio
    whole = np.pad(audio, (0, 29 * 16000 - len(audio)))
    said = [whisper.transcribe([Spoken(whisper.encode(a)[-1], 8.0, 0.0, 6.6)], language="en")[0].text.lower() for a in (audio, whole)]
    words = [{"".join(c for c in w if c.isalpha()) for w in text.split()} for text in said]
    assert len(words[0] ^ words[1]) <= 1, said
