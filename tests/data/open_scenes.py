"""Truth files of rendered clips in miniature: a plan written by hand, and the curves that follow from it."""

from emollm.units import INDEX, UNITS

FPS, SECONDS = 10.0, 5.0


def event(kind, onset, apex, release, offset, name="", units=None, side="both", strength=1.0):
    return {
        "kind": kind, "onset": onset, "apex": apex, "release": release, "offset": offset, "name": name, "strength": strength, "side": side,
        "units": units or {}, "micro": kind == "expression" and offset - onset <= 0.35,
    }  # fmt: skip


SMILE = event("expression", 0.5, 0.9, 1.5, 1.9, "happy", {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.2, "cheekSquintLeft": 0.6}, "left")
FROWN = event(
    "expression", 3.0, 3.3, 4.2, 4.6, "angry", {"browDownLeft": 0.7, "browDownRight": 0.7, "noseSneerLeft": 0.5, "noseSneerRight": 0.5}
)
NOD = event("nod", 2.2, 2.4, 2.6, 2.8, "down")
TEXT = "He lied to all of us."
SPEECH = event("speech", 2.0, 2.0, 3.6, 3.6, TEXT)
ANGRY = {"pitch": 1.15, "range": 1.4, "rate": 1.12, "gain_db": 6.0}


def person(events=(), *, seed=2, main=True, box=(80, 60, 140, 130), speaks=False, covered=None):
    frames = round(FPS * SECONDS)
    units = [[0.0] * len(UNITS) for _ in range(frames)]
    for one in events:
        for name, value in one["units"].items():
            for t in range(frames):
                if one["onset"] + 0.1 <= t / FPS <= one["offset"] - 0.1:
                    units[t][INDEX[name]] = max(units[t][INDEX[name]], value)
    shown = sorted({e["name"] for e in events if e["kind"] == "expression"}) or ["neutral"]
    words = [[w, 2.0 + 0.25 * i, 2.2 + 0.25 * i] for i, w in enumerate(TEXT.split())]
    return {
        "person": seed, "main": main, "speaks": speaks, "appearance": {"age": "older", "skin": "brown", "hair": "short grey hair"},
        "emotions": shown, "masked": None, "events": [*events, *([SPEECH] if speaks else [])], "text": TEXT if speaks else None,
        "text_emotion": "angry" if speaks else None, "words": words if speaks else [], "prosody": ANGRY if speaks else {},
        "covered_s": covered, "units": units, "boxes": [list(box)] * frames,
    }  # fmt: skip


def truth(*people, name="train-000000"):
    people = people or (person([SMILE, NOD, FROWN], speaks=True),)
    return {
        "name": name, "split": name.split("-")[0], "seconds": SECONDS, "fps": FPS, "size": 224, "unit_names": list(UNITS),
        "people": list(people), "sound": "synthetic", "captions": [], "questions": [],
    }  # fmt: skip


def two(name="train-000001"):
    return truth(
        person([SMILE], seed=4, box=(10, 60, 60, 130)), person([FROWN], seed=6, main=False, box=(150, 60, 200, 130), speaks=True), name=name
    )
