"""espeak-ng in a process of its own: one sentence in, samples and marks out.

The engine carries something of each sentence into the next, so a sentence sounds the same only in a fresh process. Standard library only:
`python espeak.py` starts in some 30 ms. It reads one JSON object and writes a line of JSON (or an error), then 16-bit samples.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import sys
from typing import Any

RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4  # parameters of the engine
WORD, PHONEME = 1, 7  # kinds of marks


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def speak(text: str, voice: str, settings: dict[int, int]) -> tuple[int, bytes, list[list[Any]]]:
    """Say a sentence.

    Returns:
        Samples a second, the samples, and marks [kind, second, phoneme, place in the text counted from 1].

    Raises:
        OSError: The library or its data are missing.
    """
    found = ctypes.util.find_library("espeak-ng")
    if found is None:
        raise OSError("espeak-ng is not installed")
    library = ctypes.CDLL(found)
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    rate = library.espeak_Initialize(2, 0, None, 3)  # synchronous; phoneme events, in IPA
    if rate <= 0:
        raise OSError("espeak-ng cannot find its data")
    library.espeak_SetVoiceByName(voice.encode())
    for what, value in settings.items():
        library.espeak_SetParameter(what, value, 0)
    samples = bytearray()
    marks: list[list[Any]] = []

    def take(wave: Any, count: int, events: Any) -> int:
        if count > 0:
            samples.extend(ctypes.string_at(wave, count * 2))
        i = 0
        while events[i].type != 0:
            event = events[i]
            name = bytes(event.id.string).decode("utf-8", "ignore").rstrip("\0") if event.type == PHONEME else ""
            marks.append([event.type, event.audio_position / 1000, name, event.text_position])
            i += 1
        return 0

    callback = _CALLBACK(take)
    library.espeak_SetSynthCallback(callback)
    raw = text.encode()
    library.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, 1, None, None)
    library.espeak_Synchronize()
    return int(rate), bytes(samples), marks


if __name__ == "__main__":
    wanted = json.load(sys.stdin)
    try:
        hertz, pcm, found_marks = speak(wanted["text"], wanted["voice"], {int(k): v for k, v in wanted["settings"].items()})
        header = {"rate": hertz, "marks": found_marks}
    except OSError as error:
        header, pcm = {"error": str(error)}, b""
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + pcm)
