"""Triangles to pixels: a z-buffer rasteriser and the shading of skin, eyes, teeth and hair, compiled by numba.

Positions are camera space, x right, y up, the camera looking along -z. Colours are linear light.
"""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SKIN, EYE_LEFT, EYE_RIGHT, TEETH, TONGUE, LASHES, SHELL, DRAPE, PAINT = range(9)
"""Materials. SHELL is hair close to the scalp, DRAPE hair that hangs, PAINT anything with a colour of its own."""

IRIS_RADIUS = 0.066  # decimetres, on MakeHuman's base mesh


@nb.njit(cache=True, fastmath=True)
def rasterise(
    screen: Array, triangles: Array, material: Array, cut: Array, uv: Array, alpha: Array, depth: Array, owner: Array, share: Array
) -> None:
    """Fill the z-buffer.

    Args:
        screen: [n, 3] pixel x, pixel y, 1 / distance.
        triangles: [m, 3].
        material: [m].
        cut: [m] hair shells only: the texture's alpha below which there is no hair.
        uv: [n, 2].
        alpha: [S, S] hair density over the texture.
        depth: [H, W] 1 / distance of the nearest surface so far; changed.
        owner: [H, W] index of the triangle seen, -1 where none; changed.
        share: [H, W, 3] perspective-correct weights of its corners; changed.
    """
    height, width = depth.shape
    side = alpha.shape[0]
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, x1, y1, x2, y2 = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1], screen[c, 0], screen[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9 or screen[a, 2] <= 0 or screen[b, 2] <= 0 or screen[c, 2] <= 0:
            continue
        what = material[t]
        if area > 0 and what != LASHES and what != DRAPE:  # seen from behind
            continue
        inverse = 1.0 / area
        left, right = max(0, int(math.floor(min(x0, x1, x2)))), min(width - 1, int(math.ceil(max(x0, x1, x2))))
        top, bottom = max(0, int(math.floor(min(y0, y1, y2)))), min(height - 1, int(math.ceil(max(y0, y1, y2))))
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                px, py = x + 0.5, y + 0.5
                w1 = ((px - x0) * (y2 - y0) - (x2 - x0) * (py - y0)) * inverse
                w2 = ((x1 - x0) * (py - y0) - (px - x0) * (y1 - y0)) * inverse
                w0 = 1 - w1 - w2
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                near = w0 * screen[a, 2] + w1 * screen[b, 2] + w2 * screen[c, 2]
                if near <= depth[y, x]:
                    continue
                p0, p1, p2 = w0 * screen[a, 2] / near, w1 * screen[b, 2] / near, w2 * screen[c, 2] / near
                if what == SHELL or what == DRAPE:
                    u = p0 * uv[a, 0] + p1 * uv[b, 0] + p2 * uv[c, 0]
                    v = p0 * uv[a, 1] + p1 * uv[b, 1] + p2 * uv[c, 1]
                    if what == SHELL:
                        i, j = min(side - 1, max(0, int(u * side))), min(side - 1, max(0, int((1 - v) * side)))
                        if alpha[j, i] < cut[t]:
                            continue
                    elif u < 0.0 or v > 1.0:  # outside the parting and below the tips
                        continue
                depth[y, x] = near
                owner[y, x] = t
                share[y, x, 0], share[y, x, 1], share[y, x, 2] = p0, p1, p2


@nb.njit(cache=True, fastmath=True)
def normals(points: Array, triangles: Array, out: Array) -> None:
    """Unit vertex normals [n, 3], weighted by the area of the triangles around."""
    out[:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in (a, b, c):
            out[k, 0] += nx
            out[k, 1] += ny
            out[k, 2] += nz
    for i in range(out.shape[0]):
        length = math.sqrt(out[i, 0] ** 2 + out[i, 1] ** 2 + out[i, 2] ** 2) + 1e-12
        out[i, 0] /= length
        out[i, 1] /= length
        out[i, 2] /= length


@nb.njit(cache=True)
def lattice(i: int, j: int, k: int, seed: int) -> float:
    """Random number in [0, 1] of a point of the integer lattice, always the same."""
    h = (i * 374761393 + j * 668265263 + k * 2147483647 + seed * 974634) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65535.0


@nb.njit(cache=True, fastmath=True)
def noise(points: Array, frequency: float, seed: int) -> Array:
    """Smooth value noise in [0, 1] at points [n, 3]."""
    out = np.empty(points.shape[0], np.float32)
    for q in range(points.shape[0]):
        x, y, z = points[q, 0] * frequency + 100, points[q, 1] * frequency + 100, points[q, 2] * frequency + 100
        i, j, k = int(math.floor(x)), int(math.floor(y)), int(math.floor(z))
        fx, fy, fz = x - i, y - j, z - k
        fx, fy, fz = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy), fz * fz * (3 - 2 * fz)
        value = 0.0
        for a in range(2):
            for b in range(2):
                for c in range(2):
                    weight = (fx if a else 1 - fx) * (fy if b else 1 - fy) * (fz if c else 1 - fz)
                    value += weight * lattice(i + a, j + b, k + c, seed)
        out[q] = value
    return out


@nb.njit(cache=True, fastmath=True)
def sample(texture: Array, u: float, v: float, channel: int) -> float:
    """Bilinear texture read; v counts upwards."""
    side = texture.shape[0]
    x = min(max(u * side - 0.5, 0.0), side - 1.001)
    y = min(max((1 - v) * side - 0.5, 0.0), side - 1.001)
    i, j = int(x), int(y)
    fx, fy = x - i, y - j
    upper = texture[j, i, channel] * (1 - fx) + texture[j, i + 1, channel] * fx
    lower = texture[j + 1, i, channel] * (1 - fx) + texture[j + 1, i + 1, channel] * fx
    return upper * (1 - fy) + lower * fy


@nb.njit(cache=True, fastmath=True)
def shade(
    owner: Array,
    share: Array,
    triangles: Array,
    material: Array,
    at: Array,
    normal: Array,
    uv: Array,
    rest: Array,
    open_sky: Array,
    paint: Array,
    albedo: Array,
    bump: Array,
    wrinkles: Array,
    folds: Array,
    eye_centres: Array,
    iris: Array,
    pupil: float,
    hair: Array,
    shine: float,
    to_light: Array,
    light: Array,
    sky: Array,
    ground: Array,
    out: Array,
) -> None:
    """Colour the pixels that `rasterise` gave to one person.

    Args:
        owner: [H, W]; -1 is left alone.
        share: [H, W, 3].
        triangles: [m, 3].
        material: [m].
        at: [n, 3] camera space.
        normal: [n, 3].
        uv: [n, 2].
        rest: [n, 3] on the neutral base mesh, for what is painted by place: irises, strands.
        open_sky: [n] 1 where nothing near shadows the surface.
        paint: [n, 3] colour of PAINT.
        albedo: [S, S, 7] skin, hair, shine.
        bump: [S, S, 3] added to the normal.
        wrinkles: [S, S, F] depth of each fold.
        folds: [F] how far each is drawn.
        eye_centres: [2, 3] on the base mesh.
        iris: [3] colour.
        pupil: Radius in decimetres.
        hair: [3] colour of DRAPE.
        shine: Of the skin.
        to_light: [L, 3] unit vectors.
        light: [L, 3] colours.
        sky: [3] ambient light from above.
        ground: [3] from below.
        out: [H, W, 3] linear; changed.
    """
    height, width = owner.shape
    for y in range(height):
        for x in range(width):
            t = owner[y, x]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            p0, p1, p2 = share[y, x, 0], share[y, x, 1], share[y, x, 2]
            nx = p0 * normal[a, 0] + p1 * normal[b, 0] + p2 * normal[c, 0]
            ny = p0 * normal[a, 1] + p1 * normal[b, 1] + p2 * normal[c, 1]
            nz = p0 * normal[a, 2] + p1 * normal[b, 2] + p2 * normal[c, 2]
            qx = p0 * at[a, 0] + p1 * at[b, 0] + p2 * at[c, 0]
            qy = p0 * at[a, 1] + p1 * at[b, 1] + p2 * at[c, 1]
            qz = p0 * at[a, 2] + p1 * at[b, 2] + p2 * at[c, 2]
            rx = p0 * rest[a, 0] + p1 * rest[b, 0] + p2 * rest[c, 0]
            ry = p0 * rest[a, 1] + p1 * rest[b, 1] + p2 * rest[c, 1]
            rz = p0 * rest[a, 2] + p1 * rest[b, 2] + p2 * rest[c, 2]
            u = p0 * uv[a, 0] + p1 * uv[b, 0] + p2 * uv[c, 0]
            v = p0 * uv[a, 1] + p1 * uv[b, 1] + p2 * uv[c, 1]
            open_ = p0 * open_sky[a] + p1 * open_sky[b] + p2 * open_sky[c]
            what = material[t]
            glint, gloss, wrap = shine, 18.0, 0.25
            if what == SKIN:
                red, green, blue = sample(albedo, u, v, 0), sample(albedo, u, v, 1), sample(albedo, u, v, 2)
                nx += sample(bump, u, v, 0)
                ny += sample(bump, u, v, 1)
                nz += sample(bump, u, v, 2)
                flat = 1.0
                for k in range(folds.shape[0]):
                    if folds[k] > 0.01:
                        flat -= folds[k] * sample(wrinkles, u, v, k)
                flat = max(flat, 0.25)
                red, green, blue = red * (0.3 + 0.7 * flat), green * flat, blue * flat
                glint = shine * sample(albedo, u, v, 6)
            elif what == SHELL:
                red, green, blue = sample(albedo, u, v, 3), sample(albedo, u, v, 4), sample(albedo, u, v, 5)
                glint, gloss, wrap, open_ = 0.07, 10.0, 0.15, 0.5 + 0.5 * open_
            elif what == EYE_LEFT or what == EYE_RIGHT:
                e = what - EYE_LEFT
                ex, ey, ez = rx - eye_centres[e, 0], ry - eye_centres[e, 1], rz - eye_centres[e, 2]
                radius = math.sqrt(ex * ex + ey * ey) if ez > 0 else 1.0
                if radius < pupil:
                    red, green, blue = 0.01, 0.01, 0.01
                elif radius < IRIS_RADIUS:
                    q = (radius - pupil) / (IRIS_RADIUS - pupil)
                    s = 0.8 + 0.5 * q * (1 - q) + 0.07 * math.sin(40 * math.atan2(ey, ex))
                    if q > 0.85:
                        s *= 0.5
                    red, green, blue = iris[0] * s, iris[1] * s, iris[2] * s
                else:
                    q = min(1.0, (radius - IRIS_RADIUS) / 0.09)
                    red, green, blue = 0.70 * (1 - 0.12 * q), 0.68 * (1 - 0.2 * q), 0.66 * (1 - 0.2 * q)
                glint, gloss, open_ = 0.9, 120.0, 0.4 + 0.6 * open_
                open_ *= min(1.0, max(0.45, 1.0 - (ey - 0.03) * 4.0))  # the shadow of the lid
            elif what == TEETH:
                dark = min(1.0, max(0.12, 1.30 - (abs(rx) - 0.12) * 5.0))
                red, green, blue = 0.80 * dark, 0.75 * dark, 0.66 * dark
                glint, gloss, open_ = 0.1, 40.0, 0.5 + 0.12 * open_
                nx, ny, nz = nx * 0.35, ny * 0.3 - 0.05, nz + 0.6
            elif what == TONGUE:
                red, green, blue, glint, gloss, open_ = 0.33, 0.10, 0.09, 0.12, 30.0, 0.15 + 0.4 * open_
            elif what == LASHES:
                red, green, blue, glint = 0.03, 0.022, 0.018, 0.0
            elif what == DRAPE:
                # Strands run down from the parting: noise across them, little along.
                q = rz + 0.5 * abs(rx) + 0.03 * math.sin(ry * 6.0 + rx * 3.0)
                s, strength, frequency = 0.0, 0.5, 46.0
                for k in range(3):
                    place = q * frequency + 100.0 * (k + 1) + (37.0 if rx > 0 else 0.0)
                    i = int(math.floor(place))
                    f = place - i
                    f = f * f * (3 - 2 * f)
                    s += strength * (lattice(i, 3, k, 5) * (1 - f) + lattice(i + 1, 3, k, 5) * f - 0.5)
                    frequency, strength = frequency * 2.3, strength * 0.75
                s = max(0.25, 0.85 + 1.15 * s)
                red, green, blue = hair[0] * s, hair[1] * s, hair[2] * s
                glint, gloss, wrap = 0.075 * max(0.1, 0.7 + 1.3 * (s - 0.85)), 20.0, 0.25
            else:
                red = p0 * paint[a, 0] + p1 * paint[b, 0] + p2 * paint[c, 0]
                green = p0 * paint[a, 1] + p1 * paint[b, 1] + p2 * paint[c, 1]
                blue = p0 * paint[a, 2] + p1 * paint[b, 2] + p2 * paint[c, 2]
                glint, gloss = 0.25, 30.0
            length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            nx, ny, nz = nx / length, ny / length, nz / length
            far = math.sqrt(qx * qx + qy * qy + qz * qz)
            vx, vy, vz = -qx / far, -qy / far, -qz / far
            if nx * vx + ny * vy + nz * vz < 0 and (what == DRAPE or what == LASHES):
                nx, ny, nz = -nx, -ny, -nz
                if what == DRAPE:  # the inside of hanging hair
                    red, green, blue, glint, open_ = red * 0.22, green * 0.22, blue * 0.22, 0.0, 0.2
            up = 0.5 + 0.5 * ny
            ar = (ground[0] * (1 - up) + sky[0] * up) * open_
            ag = (ground[1] * (1 - up) + sky[1] * up) * open_
            ab = (ground[2] * (1 - up) + sky[2] * up) * open_
            sr, sg, sb = 0.0, 0.0, 0.0
            direct = 0.35 + 0.65 * open_
            for k in range(to_light.shape[0]):
                facing = nx * to_light[k, 0] + ny * to_light[k, 1] + nz * to_light[k, 2]
                if what == SKIN:  # light that wanders under the skin comes out red, round the edge of the shadow
                    dr, dg, db = (facing + 0.35) / 1.35, (facing + 0.18) / 1.18, (facing + 0.12) / 1.12
                else:
                    dr = dg = db = (facing + wrap) / (1 + wrap)
                ar += light[k, 0] * max(dr, 0.0) * direct
                ag += light[k, 1] * max(dg, 0.0) * direct
                ab += light[k, 2] * max(db, 0.0) * direct
                hx, hy, hz = to_light[k, 0] + vx, to_light[k, 1] + vy, to_light[k, 2] + vz
                half = (nx * hx + ny * hy + nz * hz) / (math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9)
                if half > 0 and facing > 0:
                    s = glint * half**gloss * direct * min(1.0, facing * 3.5)
                    sr, sg, sb = sr + light[k, 0] * s, sg + light[k, 1] * s, sb + light[k, 2] * s
            rim = (1.0 - max(0.0, nx * vx + ny * vy + nz * vz)) ** 4 * 0.08 * (0.0 if what == TONGUE else 1.0)
            out[y, x, 0] = red * ar + sr + rim * sky[0]
            out[y, x, 1] = green * ag + sg + rim * sky[1]
            out[y, x, 2] = blue * ab + sb + rim * sky[2]
