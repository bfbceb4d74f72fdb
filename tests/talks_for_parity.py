"""Eight short conversations, four about the sample clips, with which two engines are compared."""

from paths import SAMPLES

from emollm.values import Message

_JOY, _SAD = (SAMPLES / "sample_joy.mp4",), (SAMPLES / "sample_sad.mp4",)
_DAY = "Here is my day: " + "I went to work, and it rained, and nobody talked to me. " * 12 + "How might I feel?"

TALKS = {
    "joy, how": [Message("user", "How does this person feel, and how can you tell?", _JOY)],
    "sad, how": [Message("user", "How does this person feel, and how can you tell?", _SAD)],
    "joy, when": [Message("user", "When does the expression change, and what does the voice do?", _JOY)],
    "sad, second question": [
        Message("user", "How do they feel?", _SAD),
        Message("assistant", "They seem sad."),
        Message("user", "What would be a caring reply?"),
    ],
    "glad": [Message("user", "Tell me how people show that they are glad.")],
    "exam": [Message("user", "I failed my exam today and do not know how to tell my parents.")],
    "dog": [
        Message("user", "My dog died yesterday."),
        Message("assistant", "I am so sorry. What was your dog like?"),
        Message("user", "He was always waiting for me at the door."),
    ],
    "a long day": [Message("user", _DAY)],
}
