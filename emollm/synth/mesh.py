"""The head that every synthetic person is a shape of: MakeHuman's mesh with shape targets, facial units, and layers for short hair.

Lengths are decimetres, y up, the face looking along +z, as in MakeHuman's base mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emollm import weights
from emollm.synth import raster
from emollm.units import UNITS
from emollm.values import Floats

Ints = NDArray[np.int64]
SHELLS = 7  # layers of hair over the scalp
_UPPER_LID_Y = 7.2765  # lashes above this height belong to the upper lid


def smooth(low: float, high: float, x: Any) -> Any:
    """0 below `low`, 1 above `high`, an S between; `low` may be the larger."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def hair_line(points: Floats) -> Floats:
    """[n] how far points [n, 3] of the base mesh lie inside the region where head hair grows, in decimetres; negative outside."""
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    front = 7.93 + 0.06 * np.cos(np.abs(x) * 5)
    temple = 7.2 + (z - 0.25) * 1.4
    return np.asarray(y - np.where(z > 0.75, front, np.where(z > 0.25, temple, 6.75)))


@dataclass(frozen=True, slots=True)
class HeadMesh:
    """Mesh and what is derived from it once. Corners are vertices with a texture point."""

    points: Floats  # [P, 3] base shape
    triangles: Ints  # [M, 3] of points, for normals
    corner_point: Ints  # [C] the point of each corner, shells included
    corner_uv: Floats  # [C, 2]
    corner_triangles: Ints  # [M', 3] of corners, shells included
    material: Ints  # [M']
    cut: Floats  # [M'] alpha below which a shell has no hair
    rest: Floats  # [C, 3] base shape
    shell_height: Floats  # [C] 0 on the skin, up to 1 at the outermost layer of hair
    open_sky: Floats  # [C]
    shape_index: dict[str, int]
    shapes: Floats  # [T, P, 3]
    units: Floats  # [52, P * 3]
    eye_points: tuple[Ints, Ints]
    eye_centres: Floats  # [2, 3] left and right on the base mesh
    teeth: tuple[Ints, Ints]  # upper and lower
    tongue: Ints
    lashes: Ints
    lash_root: Ints  # skin point next to each lash point
    lash_pull: Floats  # [n, 1] how much of a lash is drawn back to the lid
    masks: dict[str, NDArray[np.uint8]]

    def shaped(self, shape: dict[str, float], base: Floats | None = None) -> Floats:
        """[P, 3] the base shape, or another, with shape targets at their strengths."""
        points = self.points if base is None else base
        if not shape:
            return points.copy()
        at = [self.shape_index[name] for name in shape]
        return points + np.tensordot(np.array(list(shape.values()), np.float32), self.shapes[at], 1)

    def moved(self, base: Floats, strengths: Floats) -> Floats:
        """[P, 3] a person's points with facial units [52] at their strengths, teeth and lashes put right."""
        moving = np.flatnonzero(strengths)
        points: Floats = base + (strengths[moving] @ self.units[moving]).reshape(-1, 3) if len(moving) else base.copy()
        points[self.lashes] += (points[self.lash_root] - points[self.lashes]) * self.lash_pull
        return points


@cache
def load_head() -> HeadMesh:
    """The mesh out of the weights cache, with everything derived; about a second.

    Raises:
        CheckpointError: The mesh was never fetched; the message names the command.
    """
    return _derive(weights.locate("makehuman-head"))


def _derive(folder: Path) -> HeadMesh:
    with np.load(folder / "head.npz") as file:
        data = {name: file[name] for name in file.files}
    points = data["points"].astype(np.float32)
    names = [str(n) for n in data["target_names"]]
    moves = data["target_moves"].astype(np.float32)
    at = {n: i for i, n in enumerate(names)}
    material = data["material"].astype(np.int64)
    triangles = data["corner_triangles"].astype(np.int64)
    corner_point = data["corner_point"].astype(np.int64)
    uv = data["corner_texel"].astype(np.float32)
    rest = points[corner_point]
    # Lower lashes are a row of blocks at the size faces have here: left out.
    drawn = (material != raster.LASHES) | (rest[triangles][..., 1].mean(1) > _UPPER_LID_Y)
    triangles, material = triangles[drawn], material[drawn]

    # Hair layers: copies of the scalp, to be lifted along the normals. The upper ones hold only the densest strands.
    scalp = triangles[(material == raster.SKIN) & (hair_line(rest)[triangles].max(1) > -0.12)]
    used = np.unique(scalp)
    height, cut = [np.zeros(len(rest), np.float32)], [np.zeros(len(triangles), np.float32)]
    all_triangles, all_material, all_point, all_uv = [triangles], [material], [corner_point], [uv]
    count = len(rest)
    for layer in range(SHELLS):
        place = np.full(len(rest), -1)
        place[used] = count + np.arange(len(used))
        share = (layer + 1) / SHELLS
        all_triangles.append(place[scalp])
        all_material.append(np.full(len(scalp), raster.SHELL))
        cut.append(np.full(len(scalp), 0.12 + 0.55 * share**1.5, np.float32))
        all_point.append(corner_point[used])
        all_uv.append(uv[used])
        height.append(np.full(len(used), share, np.float32))
        count += len(used)
    corner_point = np.concatenate(all_point)
    rest = points[corner_point]

    def points_of(what: int) -> Ints:
        return np.unique(data["corner_point"].astype(np.int64)[np.unique(triangles[material == what])])

    lashes, skin = points_of(raster.LASHES), points_of(raster.SKIN)
    eyes = (points_of(raster.EYE_LEFT), points_of(raster.EYE_RIGHT))
    gaps = np.square(points[lashes][:, None] - points[skin][None]).sum(-1)
    mesh = HeadMesh(
        points=points,
        triangles=data["triangles"].astype(np.int64),
        corner_point=corner_point,
        corner_uv=np.concatenate(all_uv),
        corner_triangles=np.concatenate(all_triangles),
        material=np.concatenate(all_material),
        cut=np.concatenate(cut),
        rest=rest,
        shell_height=np.concatenate(height),
        open_sky=np.ones(len(corner_point), np.float32),
        shape_index={n: i for i, n in enumerate(n for n in names if not n.startswith("unit/"))},
        shapes=moves[[i for i, n in enumerate(names) if not n.startswith("unit/")]],
        units=moves[[at[f"unit/{u}"] for u in UNITS]].reshape(len(UNITS), -1),
        eye_points=eyes,
        eye_centres=np.stack([points[e].mean(0) for e in eyes]).astype(np.float32),
        teeth=_rows_of_teeth(points, data["corner_point"].astype(np.int64)[triangles[material == raster.TEETH]]),
        tongue=points_of(raster.TONGUE),
        lashes=lashes,
        lash_root=skin[gaps.argmin(1)],
        lash_pull=np.repeat(np.array([[0.45, 0.45, 0.36]], np.float32), len(lashes), 0),  # pulled once at rest and once when moved
        masks={str(n): m for n, m in zip(data["mask_names"], data["masks"], strict=True)},
    )
    mesh.open_sky[:] = _open_sky(mesh)
    return mesh


def _rows_of_teeth(points: Floats, triangles: Ints) -> tuple[Ints, Ints]:
    """Upper and lower teeth: the two pieces that share no triangle."""
    piece = {int(p): int(p) for p in np.unique(triangles)}
    changed = True
    while changed:
        changed = False
        for corners in triangles.tolist():
            least = min(piece[c] for c in corners)
            for c in corners:
                if piece[c] != least:
                    piece[c], changed = least, True
    first, second = (np.array([p for p, of in piece.items() if of == name]) for name in sorted(set(piece.values())))
    return (first, second) if points[first, 1].mean() > points[second, 1].mean() else (second, first)


def _open_sky(mesh: HeadMesh, directions: int = 64, side: int = 320) -> Floats:
    """[C] share of the sky above its horizon that each corner sees: what light from everywhere leaves dark in folds and under the chin."""
    normal = np.zeros_like(mesh.points)
    raster.normals(mesh.points, mesh.triangles, normal)
    facing = normal[mesh.corner_point]
    solid = (mesh.material != raster.LASHES) & (mesh.material != raster.SHELL)
    triangles = mesh.corner_triangles[solid]
    drape = np.full(len(triangles), raster.DRAPE)  # a material whose both sides cast shadows
    seen, whole = np.zeros(len(mesh.rest)), np.zeros(len(mesh.rest))
    centre, extent = np.array([0, 6.6, 0.5]), 6.5
    # Directions spread evenly over the sphere by the golden angle.
    z = 1 - 2 * (np.arange(directions) + 0.5) / directions
    angle = np.pi * (1 + 5**0.5) * np.arange(directions)
    spread = np.stack([np.sqrt(1 - z**2) * np.cos(angle), z, np.sqrt(1 - z**2) * np.sin(angle)], 1)
    for toward in spread[spread[:, 1] > -0.6]:
        up = np.array([0, 1.0, 0]) if abs(toward[1]) < 0.9 else np.array([1.0, 0, 0])
        right = np.cross(up, toward)
        right /= np.linalg.norm(right)
        flat = mesh.rest - centre
        x = flat @ right * side / extent + side / 2
        y = -(flat @ np.cross(toward, right)) * side / extent + side / 2
        near = flat @ toward + 20
        screen = np.stack([x, y, near], 1).astype(np.float32)
        depth = np.zeros((side, side), np.float32)
        owner = np.full((side, side), -1, np.int64)
        share = np.zeros((side, side, 3), np.float32)
        nothing = np.zeros((len(screen), 2), np.float32)
        raster.rasterise(screen, triangles, drape, mesh.cut, nothing, np.ones((1, 1), np.float32), depth, owner, share)
        column, row = np.clip(x.astype(int), 0, side - 1), np.clip(y.astype(int), 0, side - 1)
        weight = np.maximum(0, facing @ toward)
        seen += (near > depth[row, column] - 0.045) * weight
        whole += weight
    return np.asarray(0.15 + 0.85 * np.clip(seen / np.maximum(whole, 1e-6), 0, 1), np.float32)
