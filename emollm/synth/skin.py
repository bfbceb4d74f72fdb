"""What a person's surface looks like: skin, brows, lips, beard, scalp and clothes painted into one texture, and the folds faces draw.

Everything is painted as a function of the place on the base mesh, so that it moves with the skin and looks alike at every shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from emollm.synth import raster
from emollm.synth.mesh import hair_line, load_head, smooth
from emollm.synth.person import Person
from emollm.synth.raster import noise
from emollm.units import INDEX
from emollm.values import Floats

SIDE = 768
FOLDS = ("forehead", "between the brows", "beside the nose", "crow's feet", "root of the nose", "chin")


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where each painted texel lies on the base mesh."""

    texels: NDArray[np.int64]  # [n] flat index into the texture
    at: Floats  # [n, 3]
    masks: dict[str, Floats]  # lips, eyelids, inside-mouth, ears: [n] 0 to 1
    folds: Floats  # [SIDE, SIDE, 6]


@dataclass(frozen=True, slots=True)
class Surface:
    """The textures of one person."""

    albedo: Floats  # [SIDE, SIDE, 7] skin, hair of the scalp, shine
    bump: Floats  # [SIDE, SIDE, 3]
    density: Floats  # [SIDE, SIDE] of the hair on the head


@cache
def canvas() -> Canvas:
    """Made once for the mesh."""
    mesh = load_head()
    skin = mesh.corner_triangles[mesh.material == raster.SKIN]
    flat = np.stack([mesh.corner_uv[:, 0] * SIDE, (1 - mesh.corner_uv[:, 1]) * SIDE, np.ones(len(mesh.corner_uv))], 1).astype(np.float32)
    owner = np.full((SIDE, SIDE), -1, np.int64)
    share = np.zeros((SIDE, SIDE, 3), np.float32)
    both_sides = np.full(len(skin), raster.DRAPE)
    raster.rasterise(
        flat, skin, both_sides, np.zeros(len(skin), np.float32), np.zeros_like(mesh.corner_uv), np.ones((1, 1), np.float32),
        np.zeros((SIDE, SIDE), np.float32), owner, share,
    )  # fmt: skip
    # A few texels past each seam are painted too, or the seams would show.
    empty = (owner < 0).astype(np.uint8)
    distance, labels = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    source = np.zeros(labels.max() + 1, np.int64)
    source[labels[owner >= 0]] = np.flatnonzero(owner >= 0)
    nearest = source[labels]
    texels = np.flatnonzero(distance < 6)
    origin = nearest.ravel()[texels]
    corners = skin[owner.ravel()[origin]]
    at = (mesh.rest[corners] * share.reshape(-1, 3)[origin][:, :, None]).sum(1).astype(np.float32)
    masks = {
        name: cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel()[texels].astype(np.float32) / 255
        for name, mask in mesh.masks.items()
    }
    folds = np.zeros((SIDE * SIDE, len(FOLDS)), np.float32)
    folds[texels] = _folds(at)
    return Canvas(texels, at, masks, folds.reshape(SIDE, SIDE, len(FOLDS)))


def _folds(at: Floats) -> Floats:
    """[n, 6] depth of each fold at places of the base mesh."""
    x, y, z = at.T
    side = np.abs(x)
    front = smooth(0.6, 1.0, z)
    found = np.zeros((len(x), len(FOLDS)), np.float32)

    def line(x0: float, y0: float, x1: float, y1: float, width: float, bow: float = 0.0) -> Floats:
        along = np.clip(((side - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1)
        dx = side - (x0 + along * (x1 - x0) + bow * np.sin(np.pi * along))
        dy = y - (y0 + along * (y1 - y0))
        faded = np.sin(np.pi * np.clip(along * 0.85 + 0.1, 0, 1))
        return np.asarray(np.exp(-(dx * dx + dy * dy) / width**2) * faded)

    for height in (7.62, 7.72, 7.82):
        crease = np.exp(-(((y - height - 0.02 * np.cos(side * 4)) / 0.014) ** 2)) * smooth(0.5, 0.3, side) * front * 0.55
        found[:, 0] = np.maximum(found[:, 0], crease)
    found[:, 1] = np.exp(-(((side - 0.055 - 0.03 * (y - 7.45)) / 0.019) ** 2)) * np.exp(-(((y - 7.45) / 0.07) ** 2)) * front * 0.6
    found[:, 2] = line(0.19, 6.98, 0.36, 6.68, 0.034, 0.03) * front * 0.5
    for fan in (-0.06, 0.0, 0.06):
        found[:, 3] = np.maximum(found[:, 3], line(0.53, 7.29 + fan * 0.6, 0.65, 7.29 + fan * 1.6, 0.014) * 0.36)
    found[:, 4] = np.exp(-(((y - 7.36) / 0.016) ** 2)) * smooth(0.12, 0.06, side) * front * 0.7
    found[:, 5] = line(0.33, 6.52, 0.22, 6.40, 0.03) * front * 0.5
    found[:, 5] += np.exp(-(((y - 6.36) / 0.02) ** 2)) * smooth(0.2, 0.1, side) * front * 0.4
    return found


def drawn_folds(units: Floats, age: float) -> Floats:
    """[6] how deep each fold is at facial units [52]; old skin keeps some of it."""

    def unit(name: str) -> float:
        return float(units[INDEX[name]])

    def pair(name: str) -> float:
        return (unit(f"{name}Left") + unit(f"{name}Right")) / 2

    old = max(0.0, (age - 0.7) * 1.6)
    return np.array(
        [
            0.9 * max(unit("browInnerUp"), pair("browOuterUp")) + old * 0.7,
            1.8 * pair("browDown") + old * 0.4,
            max(pair("mouthSmile"), pair("noseSneer"), pair("mouthUpperUp") * 0.8) * 1.4 + old,
            max(pair("cheekSquint"), pair("eyeSquint") * 0.7, pair("mouthSmile") * 0.4) + old * 0.8,
            1.6 * pair("noseSneer") + old * 0.2,
            max(pair("mouthFrown"), unit("mouthShrugLower")) + old * 0.5,
        ],
        np.float32,
    )


def paint(person: Person) -> Surface:
    """All textures of a person; a tenth of a second."""
    sheet = canvas()
    at, masks = sheet.at, sheet.masks
    x, y, z = at.T
    side, front = np.abs(x), smooth(0.5, 1.0, z)
    seed = person.seed % 10007
    coarse, middle, fine, pores = (noise(at, f, seed + i) - 0.5 for i, f in enumerate((3.0, 11.0, 40.0, 90.0)))
    hair = np.array(person.hair)

    colour = np.repeat(np.array(person.skin, np.float32)[None], len(x), 0)
    colour *= (1 + 0.18 * coarse + 0.10 * middle + 0.10 * fine + 0.08 * pores)[:, None]
    flush = np.exp(-(((side - 0.45) / 0.2) ** 2 + ((y - 6.98) / 0.18) ** 2)) * front * 0.9
    own = np.random.default_rng([person.seed, 12])
    flush = flush * own.uniform(0.2, 1.2) * (1 + 0.8 * person.make_up) + masks["ears"] * 0.5
    flush = flush + np.exp(-((side / 0.12) ** 2 + ((y - 7.0) / 0.1) ** 2)) * front * 0.8
    colour *= 1 + flush[:, None] * np.array([0.10, -0.13, -0.12])
    bags = np.exp(-(((side - 0.3) / 0.17) ** 2 + ((y - 7.14) / 0.05) ** 2)) * front * (0.1 + 0.5 * max(0, person.age - 0.62))
    sockets = np.exp(-(((side - 0.28) / 0.2) ** 2 + ((y - 7.3) / 0.13) ** 2)) * front * own.uniform(0, 0.3)
    colour *= (1 - bags)[:, None] * (1 - sockets)[:, None]
    _paint_moles(colour, at, own)
    if person.age > 0.8:
        colour *= (1 - (noise(at, 25.0, seed + 9) > 0.78) * (person.age - 0.8) * 1.1)[:, None]
    if person.freckles:
        spots = (noise(at, 60.0, seed + 12) > 0.9) * np.exp(-(((y - 7.05) / 0.3) ** 2))
        colour *= (1 - 0.3 * person.freckles * spots * front)[:, None]
    _paint_lips(colour, person, masks, fine)
    colour *= (1 - masks["eyelids"] * (0.12 + 0.4 * person.make_up * (y > 7.29)))[:, None]
    _paint_brows(colour, person, at, seed)
    if person.beard:
        _paint_beard(colour, person, at, masks, seed)
    density = _hair_density(person, at, masks, seed)
    if person.hair_style != "bald":
        under = smooth(0.02, 0.5, density) * (0.96 if person.hair_style != "buzz" else 0.75)
        colour = colour * (1 - under[:, None]) + hair * under[:, None]
    strands = noise(np.stack([x, y * 0.18, z * 0.45], 1).astype(np.float32), 60.0, seed + 8)
    covered = _paint_clothes(colour, person, at, seed)

    albedo = np.zeros((SIDE * SIDE, 7), np.float32)
    albedo[sheet.texels, :3] = np.clip(colour, 0.003, 0.95)
    albedo[sheet.texels, 3:6] = hair * (0.5 + 1.0 * strands[:, None])
    oily = 0.6 + 0.6 * np.exp(-((side / 0.3) ** 2 + ((y - 7.6) / 0.3) ** 2)) + 0.5 * np.exp(-((side / 0.1) ** 2 + ((y - 7.05) / 0.2) ** 2))
    albedo[sheet.texels, 6] = np.clip(oily + masks["lips"] * (1.0 + person.make_up), 0, 3) * (1 - covered)
    bump = np.zeros((SIDE * SIDE, 3), np.float32)
    rough = 0.09 + 0.25 * max(0, person.age - 0.7)
    for k in range(3):
        bump[sheet.texels, k] = (noise(at, 45.0, seed + 20 + k) - 0.5) * rough + (noise(at, 14.0, seed + 30 + k) - 0.5) * rough * 0.6
    hairs = np.zeros(SIDE * SIDE, np.float32)
    hairs[sheet.texels] = density
    return Surface(albedo.reshape(SIDE, SIDE, 7), bump.reshape(SIDE, SIDE, 3), hairs.reshape(SIDE, SIDE))


def _paint_moles(colour: Floats, at: Floats, rng: np.random.Generator) -> None:
    """A few dark spots, each person's own."""
    for _ in range(int(rng.poisson(1.6))):
        place = np.array([rng.uniform(-0.6, 0.6), rng.uniform(6.35, 7.8)])
        size = rng.uniform(0.010, 0.022)
        spot = np.exp(-(np.square(at[:, :2] - place).sum(1) / size**2)) * (at[:, 2] > 0.6) * rng.uniform(0.4, 0.8)
        colour *= (1 - spot)[:, None]


def _paint_lips(colour: Floats, person: Person, masks: dict[str, Floats], fine: Floats) -> None:
    natural = np.array(person.skin) * np.array([1.0, 0.55, 0.58]) * 0.95
    painted = np.array([0.35, 0.05, 0.07]) * (0.4 + 0.8 * np.mean(person.skin))
    lips = natural * (1 - person.make_up * 0.8) + painted * person.make_up * 0.8
    share = np.clip(masks["lips"] * 0.75 * (0.5 + person.lips * 0.5 + 0.4 * person.make_up), 0, 1)[:, None]
    colour *= 1 - share
    colour += lips * (1 + 0.12 * fine[:, None]) * share
    inside = masks["inside-mouth"][:, None]
    colour *= 1 - inside
    colour += np.array([0.2, 0.055, 0.05]) * inside


def _brow_line(person: Person, side: Floats) -> tuple[Floats, Floats]:
    """Height of the brow's middle and half its width, at distances [n] from the middle of the face; base mesh."""
    rng = np.random.default_rng([person.seed, 2])
    arch, thick, height = rng.uniform(0.045, 0.1), rng.uniform(0.8, 1.35), rng.uniform(-0.012, 0.015)
    along = np.clip((side - 0.12) / 0.38, 0, 1)
    middle = 7.455 + height + arch * np.sin(along * np.pi * 0.72) - 0.02 * along
    return np.asarray(middle), np.asarray((0.040 - 0.022 * along) * (0.75 + 0.4 * person.brows) * thick)


def brow_edge(person: Person, side: float) -> float:
    """Height of the upper edge of a person's brow on the base mesh, `side` decimetres from the middle of the face."""
    middle, width = _brow_line(person, np.array([side]))
    return float(middle[0] + width[0])


def _paint_brows(colour: Floats, person: Person, at: Floats, seed: int) -> None:
    x, y, z = at.T
    side = np.abs(x)
    middle, width = _brow_line(person, side)
    strokes = 0.72 + 0.5 * (noise(np.stack([side * 1.6 + y, y * 0.5, z * 0.5], 1).astype(np.float32), 60.0, seed + 4) - 0.3)
    share = np.exp(-(((y - middle) / width) ** 4)) * smooth(0.08, 0.16, side) * smooth(0.56, 0.44, side) * (z > 0.8)
    share = np.clip(share * np.clip(strokes, 0, 1) * person.brows * 1.2, 0, 0.95)[:, None]
    colour *= 1 - share
    colour += np.array(person.hair) * 0.8 * share


def _paint_beard(colour: Floats, person: Person, at: Floats, masks: dict[str, Floats], seed: int) -> None:
    x, y, z = at.T
    side = np.abs(x)
    jaw = smooth(6.95, 6.75, y - 0.35 * smooth(0.35, 0.75, side)) * smooth(5.95, 6.2, y) * smooth(0.15, 0.5, z)
    below_lip = 1 - 0.5 * np.exp(-((side / 0.13) ** 2 + ((y - 6.47) / 0.05) ** 2))
    lip = smooth(0.30, 0.20, side) * smooth(6.64, 6.68, y) * smooth(6.845 - 0.14 * side, 6.80 - 0.14 * side, y) * smooth(1.2, 1.4, z)
    chin = smooth(0.3, 0.22, side) * (y < 6.62) * jaw
    region = {"full": jaw, "stubble": jaw, "goatee": np.maximum(lip, chin), "moustache": lip}[person.beard_shape] * below_lip
    amount = person.beard * (0.4 if person.beard_shape == "stubble" else 1.0)
    share = np.clip((noise(at, 55.0, seed + 5) * 0.7 + 0.5) * amount * region * (1 - masks["lips"]), 0, 0.92)[:, None]
    colour *= 1 - share
    colour += np.array(person.hair) * 0.9 * share


def _hair_density(person: Person, at: Floats, masks: dict[str, Floats], seed: int) -> Floats:
    """[n] how many hairs grow at a place, 0 to 1, thinning out strand by strand towards the hairline."""
    x, y, z = at.T
    if person.hair_style == "bald":
        return np.zeros(len(x), np.float32)
    wave = 0.06 * (noise(at, 7.0, seed + 6) - 0.5)
    strand = noise(np.stack([x * 1.6, y * 0.35, z * 0.8], 1).astype(np.float32), 60.0, seed + 7)
    curls = 0.3 + 0.7 * noise(at, 30.0, seed + 11)  # few holes: the lumps make the outline
    inside = hair_line(at) - person.hair_line * smooth(0.3, 0.9, z) - wave
    grain = 0.35 + 0.65 * (curls if person.hair_style == "curls" else strand)
    soft = 0.14 if person.hair_style in ("short", "curls") else 0.28  # close-cut and tied-back hair thins out towards the face
    return np.asarray(smooth(-0.05, soft, inside) * grain * (1 - masks["ears"]), np.float32)


def _paint_clothes(colour: Floats, person: Person, at: Floats, seed: int) -> Floats:
    """Paint a garment; [n] where it covers the skin."""
    x, y, z = at.T
    rng = np.random.default_rng([person.seed, 3])
    wide, deep = rng.uniform(0.62, 0.85), rng.uniform(0.45, 0.62)
    if person.neckline == "v-neck":
        edge = np.where(z > -0.2, (np.abs(x) * 0.75 - (y - 5.35) * 0.6), (5.98 - y))
    elif person.neckline == "turtleneck":
        edge = 6.14 - y
    else:
        oval = np.sqrt((x / wide) ** 2 + (np.minimum(y - 6.12, 0) / deep) ** 2)
        edge = np.where(z > -0.2, (oval - 1) * deep, 6.04 - y)
    covered = smooth(-0.008, 0.012, edge) * smooth(*((6.16, 6.1) if person.neckline == "turtleneck" else (6.1, 6.04)), y)
    rib = ((edge > 0) & (edge < 0.055)).astype(np.float32) * (0.6 + 0.4 * np.cos(40 * np.arctan2(x, y - 6.121)))
    first, second = np.array(person.clothes), np.array(person.clothes_second)
    share = {
        "plain": np.zeros(len(x)),
        "stripes": (np.sin(y * rng.uniform(25, 70)) > rng.uniform(-0.3, 0.7)).astype(float),
        "checks": 0.5 * (np.sin(y * 40) > 0) + 0.5 * (np.sin(x * 40) > 0),
        "heather": 0.5 * noise(at, 80.0, seed + 40),
    }[person.pattern]
    if person.neckline == "collar":
        share = np.where(edge < 0.13, 0.0, share)
        rib = rib * 0 + ((edge > 0.125) & (edge < 0.15)) * 0.9 + (np.abs(x) < 0.012) * (z > 0) * 0.6
    cloth = first * (1 - share[:, None]) + second * share[:, None]
    cloth = cloth * (1 - 0.22 * np.clip(rib, 0, 1)[:, None]) * (1 + 0.2 * (noise(at, 4.0, seed + 41) - 0.5)[:, None])
    colour *= 1 - covered[:, None]
    colour += cloth * covered[:, None]
    return np.asarray(covered, np.float32)
