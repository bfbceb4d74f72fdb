from __future__ import annotations

import re

import pytest

from emollm import weights
from emollm.weights import Entry
from emollm.weights.convert import CONVERTERS

ENTRIES = [weights.entry(name) for name in weights.names()]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_every_row_is_complete(entry: Entry) -> None:
    assert entry.scales and entry.licence and entry.upstream and entry.size
    assert entry.convert in CONVERTERS or (entry.convert == "folder" and entry.hub and entry.model_type)
    assert entry.files or "package" not in entry.order
    assert entry.hub or "hub" not in entry.order
    assert entry.order or entry.checkpoint  # something can be done about it
    for file in entry.files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+|npm:@?[a-z0-9/-]+@[0-9.]+", m.requirement) for m in file.members)
    if entry.convert == "copy":
        assert set(entry.outputs) == {f.name for f in entry.files}


def test_mini_comes_from_pinned_packages_only() -> None:
    assert weights.names("mini") == ("mediapipe-face", "efficientnet-lite0", "smollm2-135m-instruct", "whisper-base")
    assert all(weights.entry(name).order == ("package",) for name in weights.names("mini"))
