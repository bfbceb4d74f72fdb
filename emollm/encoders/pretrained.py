"""Frozen networks from folders of weights, with a complaint in words where a tensor is missing.

It knows files and names of tensors; what a network is for is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from emollm.errors import CheckpointError
from emollm.quiet import quiet_transformers

Net = TypeVar("Net", bound=nn.Module)


def frozen(net: Net, device: str | None = None) -> Net:
    """The network in evaluation mode, without gradients, on `device` (where it is, if None)."""
    net.eval().requires_grad_(False)
    return net if device is None else net.to(device)


@quiet_transformers()
def from_transformers(kind: Any, folder: Path, dtype: torch.dtype, *, may_lack: Sequence[str] = ()) -> Any:
    """A transformers model from a folder; tensors of other parts in the same file (a text tower, a head) are passed over.

    Args:
        kind: Class of the model.
        folder: Holds config.json and the weights.
        dtype: Of the weights.
        may_lack: Names that the file need not hold because inference does not read them.

    Raises:
        CheckpointError: If the folder cannot be read or lacks tensors of the model.
    """
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} is no model folder: config.json is missing. Fetch the weights or give another folder.")
    try:
        net, info = kind.from_pretrained(folder, dtype=dtype, output_loading_info=True, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder} cannot be loaded as {kind.__name__}: {str(error).splitlines()[0]}") from error
    missing = sorted(set(info["missing_keys"]) - set(may_lack))
    if missing:
        raise CheckpointError(f"{folder} lacks {len(missing)} tensors of {kind.__name__}: {', '.join(missing[:5])}.")
    return net


def fill(net: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Copy tensors into a network of exactly these names and shapes.

    Raises:
        CheckpointError: If a tensor is missing, unknown or of another shape.
    """
    wanted = net.state_dict()
    faults = [f"{k} is missing" for k in wanted if k not in state] + [f"{k} is not known here" for k in state if k not in wanted]
    faults += [
        f"{k} is {tuple(state[k].shape)}, not {tuple(v.shape)}" for k, v in wanted.items() if k in state and state[k].shape != v.shape
    ]
    if faults:
        raise CheckpointError(f"{origin} does not fit: {len(faults)} faults, first {'; '.join(faults[:5])}.")
    net.load_state_dict(dict(state))


def fill_from(net: nn.Module, folder: Path) -> None:
    """`fill` from `model.safetensors` of a folder.

    Raises:
        CheckpointError: If the file is missing or does not fit.
    """
    from safetensors.torch import load_file

    path = folder / "model.safetensors"
    if not path.is_file():
        raise CheckpointError(f"{path} is missing. Fetch the weights or give another folder.")
    fill(net, load_file(path), str(path))


def check_taps(layers: Sequence[int], depth: int, name: str) -> None:
    """Whether hidden states with these numbers exist (0 is the embedding, `depth` the last layer; negative ones count from the end).

    Raises:
        CheckpointError: If one does not.
    """
    wrong = [n for n in layers if not -depth - 1 <= n <= depth]
    if wrong:
        raise CheckpointError(f"{name} should give hidden states {wrong}, but it has {depth} layers only.")
