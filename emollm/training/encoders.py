"""Our own encoders of faces, facial units and voices, trained before anything else of a system.

They learn what the language model will be shown as tokens and what is measured; the language model has no part in it.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import nn

from emollm.data.corpus import Corpus
from emollm.training.face_encoder import prepare_faces, train_face
from emollm.training.self_taught import learn_on
from emollm.training.steps import Say
from emollm.training.track_encoder import prepare_tracks, train_track
from emollm.training.unit_encoder import prepare_renders, train_units
from emollm.training.voice_encoder import prepare_voices, train_voice

A_TRACK = 20  # renders for each filmed track


def train_encoders(
    data: Path,
    out: Path,
    *,
    epochs: int = 12,
    more_epochs: int = 14,
    voice_epochs: int = 9,
    renders: int = 0,
    unit_steps: int = 4000,
    seed: int = 0,
    say: Say | None = None,
) -> Path:
    """Train the encoders and write face.safetensors, voice.safetensors and, with renders, units.safetensors.

    Args:
        data: Folder with index.jsonl.
        out: Gets the files; prepared faces and layers are kept there for the next run.
        epochs: Of the face encoder.
        more_epochs: Of the face encoder's learning on from itself.
        voice_epochs: Of the voice encoder; more overfit the few speakers.
        renders: Synthetic faces for the unit encoder; 0 leaves it out (then no synthetic person is made).
        unit_steps: Of the unit encoder's optimiser.
        seed: Of everything random.
        say: Progress.

    Returns:
        `out`.

    Raises:
        DataError: No labelled faces or no labelled speech.
    """
    from safetensors.torch import save_file

    tell = say or (lambda what, share, detail: None)
    corpus = Corpus(data)
    out.mkdir(parents=True, exist_ok=True)
    random.seed(seed)
    torch.manual_seed(seed)
    faces = prepare_faces(corpus, out, tell)
    trained: dict[str, nn.Module] = {
        "face": learn_on(train_face(faces, epochs=epochs, seed=seed, say=tell), faces, epochs=more_epochs, seed=seed, say=tell),
        "voice": train_voice(*prepare_voices(corpus, tell, seed), epochs=voice_epochs, seed=seed, say=tell),
    }
    if renders:
        units = train_units(prepare_renders(renders, out, tell, seed), faces, steps=unit_steps, seed=seed, say=tell)
        tracks = prepare_tracks(units, renders // A_TRACK, tell, seed)
        trained["units"] = train_track(units, tracks, steps=unit_steps // 2, seed=seed, say=tell)
    for name, encoder in trained.items():
        state = {k: v.half() if v.is_floating_point() else v for k, v in encoder.state_dict().items()}
        state = {k: v for k, v in state.items() if not (name == "units" and k.startswith("seen."))}  # of use in training alone
        save_file({k: v.contiguous() for k, v in state.items()}, out / f"{name}.safetensors")
    return out
