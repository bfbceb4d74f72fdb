"""A tiny data folder with the layout of index.jsonl and its shards, made of the shipped samples and of tones."""

import gzip
import io
import json
import zipfile

import cv2
import odd_clips
from paths import SAMPLES

from emollm.media.decode import Limits, decode_clip
from emollm.values import AUDIO_HZ


def build(folder, *, faces=12, voices=8):
    """Faces of the rendered sample people, pieces of their voices, and a few lines of dialogue; labels are the samples' own."""
    rows = []
    shots = {name: decode_clip(SAMPLES / f"sample_{name}.mp4", Limits(fps=10)) for name in ("joy", "sad")}
    labels = {"joy": "happy", "sad": "sad"}
    (folder / "faces").mkdir()
    (folder / "speech").mkdir()
    (folder / "text").mkdir()
    for split in ("train", "val"):
        with zipfile.ZipFile(folder / "faces" / f"{split}.zip", "w") as shard:
            for i in range(faces):
                name = ("joy", "sad")[i % 2]
                frame = shots[name].frames[30 + 3 * i + (split == "val")]
                small = cv2.resize(frame[60:330, 160:460], (96, 96))
                shard.writestr(f"{i}.png", cv2.imencode(".png", small[:, :, ::-1])[1].tobytes())
                rows.append(
                    {"id": f"pics:{split}:{i}", "modality": "face", "label": labels[name], "split": split, "source": "pics",
                     "path": f"faces/{split}.zip::{i}.png"}
                )  # fmt: skip
        with zipfile.ZipFile(folder / "speech" / f"{split}.zip", "w") as shard:
            for i in range(voices):
                name = ("joy", "sad")[i % 2]
                start = round((0.7 + 0.5 * (i // 2)) * AUDIO_HZ)
                shard.writestr(f"{i}.wav", odd_clips.wav_of(shots[name].audio[start : start + 2 * AUDIO_HZ]))
                rows.append(
                    {"id": f"talk:{split}:{i}", "modality": "speech", "label": labels[name], "split": split, "source": "talk",
                     "text": "a line", "path": f"speech/{split}.zip::{i}.wav"}
                )  # fmt: skip
        lines = [
            {"id": f"lines:{split}:{d}:{t}", "modality": "text", "text": text, "label": label, "speaker": f"lines:{who}",
             "dialogue": f"{split}:{d}", "turn": t, "split": split, "source": "lines"}
            for d in range(6)
            for t, (who, text, label) in enumerate(
                [("Ann", "Where were you?", "angry"), ("Ben", "I am so happy!", "happy"), ("Ann", "I sat here and cried.", "sad")]
            )
        ]  # fmt: skip
        packed = io.BytesIO()
        with gzip.open(packed, "wt", encoding="utf-8") as out:
            out.writelines(json.dumps(line) + "\n" for line in lines)
        (folder / "text" / f"{split}.jsonl.gz").write_bytes(packed.getvalue())
        rows.append({"id": f"shard:{split}", "modality": "text_shard", "path": f"text/{split}.jsonl.gz", "split": split, "source": "lines"})
    (folder / "index.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    return folder
