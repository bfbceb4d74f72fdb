from emollm.chat.reading import LABELS, read_words
from emollm.values import Segment, Transcript


class Listening:
    """Answers by what is asked, and remembers it."""

    def __init__(self):
        self.asked = []

    def score(self, messages, labels):
        self.asked.append(messages[-1].text)
        return {label: float(label == "sad") for label in labels}


def test_every_line_is_read_after_those_before_it():
    lines = ("We lost.", "All of it.", "I cannot go on like this.", "Sorry.", "It is over.")
    words = Transcript("en", tuple(Segment(float(i), i + 0.9, text) for i, text in enumerate(lines)))
    scorer = Listening()
    found = read_words(words, scorer)
    assert [s.text for s in found.segments] == list(lines)
    assert all(s.scores["sad"] == 1 and set(s.scores) == set(LABELS) for s in found.segments)
    assert scorer.asked[0].startswith("A: We lost.\n") and "All of it" not in scorer.asked[0]
    assert "We lost" not in scorer.asked[4] and "All of it" in scorer.asked[4]
    assert all(", ".join(LABELS) in asked for asked in scorer.asked)
