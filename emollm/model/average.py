"""The mean of several trained adapters: runs that began from the same weights often do better together than each alone.

Source: model soups, arXiv 2203.05482. The factors of the LoRA are averaged each for itself, which is near the mean of their products only
for weights that are near each other; unrelated runs have no use for it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from emollm.errors import CheckpointError
from emollm.model.emotion_model import ADAPTERS

LORA = Path("lora") / "adapter_model.safetensors"


def average(folders: Sequence[Path], out: Path, shares: Sequence[float] = ()) -> None:
    """Write the weighted mean of adapters as `EmotionModel.save_pretrained` writes them.

    Args:
        folders: At least two, of one system and scale; settings are those of the first.
        out: A new or empty folder.
        shares: Weight of each, of any sum; all alike if none are given.

    Raises:
        CheckpointError: Folders that do not fit together, shares that do not fit them, or a folder that is not empty.
    """
    shares = shares or [1.0] * len(folders)
    if len(folders) < 2:
        raise CheckpointError("a mean needs at least two folders of adapters.")
    if len(shares) != len(folders) or min(shares) < 0 or sum(shares) <= 0:
        raise CheckpointError(f"{len(folders)} folders need as many shares, none below nothing and not all nothing; given are {[*shares]}.")
    if out.is_dir() and any(out.iterdir()):
        raise CheckpointError(f"{out} is not empty; give a new folder.")
    files = [Path(ADAPTERS), *([LORA] if any((folder / LORA).is_file() for folder in folders) else [])]
    means = {file: _mean([folder / file for folder in folders], shares) for file in files}
    for file, (tensors, about) in means.items():
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, out / file, about)
    for kept in (Path("config.json"), LORA.with_name("adapter_config.json")):
        if (folders[0] / kept).is_file():
            shutil.copyfile(folders[0] / kept, out / kept)


def _mean(files: Sequence[Path], shares: Sequence[float]) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    """The tensors of a file, in its types, and what it says of itself."""
    total: dict[str, Tensor] = {}
    first: dict[str, Tensor] = {}
    about = None
    for file, share in zip(files, shares, strict=True):
        if not file.is_file():
            raise CheckpointError(f"{file} is missing; give folders that hold trained adapters.")
        with safe_open(file, "pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  it is no mapping
            about = about or opened.metadata()
        first = first or tensors
        if {n: t.shape for n, t in tensors.items()} != {n: t.shape for n, t in first.items()}:
            raise CheckpointError(f"{file} does not hold the same weights as {files[0]}: they are of other systems or scales.")
        for name, tensor in tensors.items():
            part = tensor.float() * (share / sum(shares))
            total[name] = total[name] + part if name in total else part
    return {name: tensor.to(first[name].dtype).contiguous() for name, tensor in total.items()}, about
