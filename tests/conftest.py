"""One thread for all tests; `clips` beside this file is importable from every test."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def clips_folder(tmp_path_factory):
    """A folder with one small clip of each kind: video.mp4, silent.mp4, sound.wav, picture.png."""
    import clips

    folder = tmp_path_factory.mktemp("clips")
    clips.write_all(folder)
    return folder
