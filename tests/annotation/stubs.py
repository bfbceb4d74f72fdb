"""Small analyses made by hand, and a backend that counts what it is asked."""

import threading

import numpy as np

from emollm.chat.backend import Reply
from emollm.chat.echo import EchoBackend
from emollm.errors import BackendError
from emollm.units import UNITS
from emollm.values import Analysis, FaceReading, FaceTrack, Segment, Transcript, Usage, VoiceReading

FACES = ("neutral", "happy", "sad", "surprise", "angry", "fear", "disgust", "contempt")
VOICES = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise", "bored")
N = 16  # frames, four a second: four seconds


def sure(labels, name, share=0.9):
    row = np.full(len(labels), (1 - share) / (len(labels) - 1))
    row[labels.index(name)] = share
    return row


def face(course=("neutral", "happy"), units=None, turn=0.0):
    """A face that shows labels one after another; `units` begin with the second half."""
    half = np.arange(N) >= N // 2
    scores = np.stack([sure(FACES, course[i * len(course) // N]) for i in range(N)])
    strengths = np.zeros((N, len(UNITS)))
    for name, value in (units or {}).items():
        for column in [k for k, full in enumerate(UNITS) if full in (name, f"{name}Left", f"{name}Right")]:
            strengths[half, column] = value
    pose = np.zeros((N, 3))
    pose[12:15, 0] = turn
    index = np.arange(N)
    track = FaceTrack(index, index / 4, np.tile([0.0, 0, 10, 10], (N, 1)), np.zeros((N, 468, 3)), np.full((N, 2, 3), np.nan), np.ones(N))
    return FaceReading(track, FACES, scores, (), pose, strengths)


def voice(name="calm", share=0.7, cues=("slow",)):
    return VoiceReading(((0.5, 1.5), (2.5, 3.5)), VOICES, sure(VOICES, name, share), 200.0, 6.0, -25.0, cues)


def words(text, language="en"):
    return Transcript(language, (Segment(0.5, 3.5, text),))


SMILE = {"mouthSmile": 0.8, "cheekSquint": 0.6}


def clip(*, faces=None, sound="", said="", units=None, name="c", kind="video", **options):
    return Analysis(
        name, kind, "d", 4.0, (face(units=SMILE if units is None else units, **options),) if faces is None else faces,
        voice(sound) if sound else None, words(said) if said else None, {}, {}, {},
    )  # fmt: skip


class Counting(EchoBackend):
    """Answers in the form asked for, counts questions, and can fail or be pulled out at a given one."""

    def __init__(self, *, fail=(), die_at=None, answer=None):
        super().__init__()
        self.questions, self.fail, self.die_at, self.answer = [], set(fail), die_at, answer
        self.lock = threading.Lock()

    def reply(self, messages, sampling):
        with self.lock:
            self.questions.append(messages[-1].text)
            number = len(self.questions)
        assert sampling.temperature == 0
        if number in self.fail:
            raise BackendError("overloaded.", code="overloaded")
        if self.answer is None:
            return super().reply(messages, sampling)

        def write(reply):
            reply.usage, reply.finish_reason = Usage(100, 10), "stop"
            yield self.answer(messages[-1].text) if callable(self.answer) else self.answer

        return Reply(write)
