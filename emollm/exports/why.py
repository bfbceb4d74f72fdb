"""What carried the verdict at the peaks of a clip: the face with a heat map, its strongest units, the melody around, and the words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emollm.lazy import need
from emollm.units import FACS, UNITS
from emollm.values import Analysis, FaceReading
from emollm.verdict import Peak, Verdict

if TYPE_CHECKING:
    from emollm.encoders.explain import Explanation
    from emollm.watch import CloseUp

MOST, UNITS_SHOWN, AROUND_S = 3, 6, 3.0
LEAST_UNIT = 0.12
_RESTLESS = ("eyeBlink", "eyeLook")


def why_rows(analysis: Analysis, verdict: Verdict) -> list[dict[str, Any]]:
    """For each peak what was measured there: units that stand out from the person's own calm, pitch against their median, words."""
    return [_row(analysis, peak) for peak in verdict.peaks]


def _row(analysis: Analysis, peak: Peak) -> dict[str, Any]:
    row: dict[str, Any] = {
        "time_s": round(peak.time_s, 2), "person": peak.person, "modality": peak.modality, "label": peak.label,
        "strength": round(peak.strength, 3),
    }  # fmt: skip
    if peak.person is not None:
        face = analysis.faces[peak.person]
        at = int(np.abs(face.track.times_s - peak.time_s).argmin())
        row["frame"] = int(face.track.index[at])
        row["units"] = standing_out(face, at)
    curve = analysis.voice.curve if analysis.voice is not None else None
    if curve is not None:
        near = (np.abs(curve.times_s - peak.time_s) <= 1.0) & np.isfinite(curve.pitch_hz)
        usual = np.nanmedian(curve.pitch_hz) if np.isfinite(curve.pitch_hz).any() else np.nan
        if near.any() and np.isfinite(usual):
            row["pitch_st"] = round(float(12 * np.log2(np.median(curve.pitch_hz[near]) / usual)), 1)
    said = [w.text for s in (analysis.words.segments if analysis.words else ()) for w in s.words if abs(w.start_s - peak.time_s) <= 1.0]
    if said:
        row["words"] = " ".join(said)
    return row


def standing_out(face: FaceReading, at: int) -> dict[str, float]:
    """Facial units of one frame that are above the person's own calm, strongest first; empty without an encoder that knows units.

    Calm is what a unit falls to in a fifth of the frames, since some people smile through most of a clip. Blinks and gaze come and go by
    themselves and are left out.
    """
    if face.units is None:
        return {}
    usual = np.percentile(face.units, 20, axis=0) if len(face.units) > 8 else np.zeros(face.units.shape[1])
    more = np.where([name.startswith(_RESTLESS) for name in UNITS], 0, face.units[at] - usual)
    order = [int(i) for i in np.argsort(-more) if more[i] >= LEAST_UNIT][:UNITS_SHOWN]
    return {UNITS[i]: round(float(face.units[at, i]), 2) for i in order}


def draw_why(
    analysis: Analysis,
    verdict: Verdict,
    close_ups: Sequence[Sequence[CloseUp]],
    explain: Callable[[CloseUp, str], Explanation],
    path: Path,
) -> Path | None:
    """Write a PNG with the strongest peaks of faces; None, and no file, where no face has one.

    Args:
        analysis: What was measured.
        verdict: Of it.
        close_ups: Of each person, in the order of the analysis.
        explain: Gives the heat map of a close-up for a label.
        path: Where to.

    Raises:
        NeedsExtraError: matplotlib is not installed.
    """
    need("matplotlib", extra="analyze")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    peaks = sorted((p for p in verdict.peaks if p.person is not None and close_ups[p.person]), key=lambda p: -p.strength)[:MOST]
    if not peaks:
        return None
    figure = Figure(figsize=(11, 2.7 * len(peaks)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(peaks), 4, width_ratios=[1, 1, 1.5, 2], squeeze=False)
    for axes, peak in zip(rows, sorted(peaks, key=lambda p: p.time_s), strict=True):
        assert peak.person is not None
        nearest = min(close_ups[peak.person], key=lambda c, t=peak.time_s: abs(c.time_s - t))  # type: ignore[misc]
        _faces(axes[0], axes[1], nearest, explain(nearest, peak.label))
        axes[0].set_ylabel(f"{peak.label}\n{nearest.time_s:.1f} s")
        _units(axes[2], analysis.faces[peak.person], nearest.time_s)
        _melody(axes[3], analysis, nearest.time_s)
    figure.savefig(path, dpi=110)
    return path


def _faces(plain: Any, heated: Any, close_up: CloseUp, found: Explanation) -> None:
    for axis in (plain, heated):
        axis.imshow(close_up.crop, cmap="gray", vmin=0, vmax=255)
        axis.set_xticks([])
        axis.set_yticks([])
    heat = np.clip(found.heat, 0, None)
    heated.imshow(heat, cmap="inferno", alpha=0.25 + 0.45 * heat / max(float(heat.max()), 1e-6), vmin=0)
    heated.set_title(f"bright: carried {found.label} ({found.probability:.0%})", fontsize=8)


def _units(axis: Any, face: FaceReading, time_s: float) -> None:
    at = int(np.abs(face.track.times_s - time_s).argmin())
    found = standing_out(face, at)
    if not found:
        text = "no unit stands out" if face.units is not None else "\n".join(face.cues) or "units not measured"
        axis.text(0.5, 0.5, text, ha="center", va="center", transform=axis.transAxes, fontsize=8, color="#555555")
        axis.set_axis_off()
        return
    names = [f"{FACS[n]}{' L' if n.endswith('Left') else ' R' if n.endswith('Right') else ''}" for n in found]
    axis.barh(range(len(found)), list(found.values()), color="#4477AA")
    axis.set_yticks(range(len(found)), names, fontsize=7)
    axis.invert_yaxis()
    axis.set_xlim(0, 1)


def _melody(axis: Any, analysis: Analysis, time_s: float) -> None:
    curve = analysis.voice.curve if analysis.voice is not None else None
    if curve is None or not np.isfinite(curve.pitch_hz).any():
        axis.text(
            0.5,
            0.5,
            analysis.missing.get("voice", "no voice"),
            ha="center",
            va="center",
            transform=axis.transAxes,
            fontsize=8,
            color="#555555",
        )
        axis.set_axis_off()
        return
    near = np.abs(curve.times_s - time_s) <= AROUND_S
    axis.plot(curve.times_s[near], curve.pitch_hz[near], ".", color="#4477AA", markersize=4)
    axis.axhline(float(np.nanmedian(curve.pitch_hz)), color="#aaaaaa", linewidth=0.8)
    axis.axvline(time_s, color="#CC3311", linewidth=1)
    axis.set_ylabel("pitch, Hz", fontsize=7)
    axis.tick_params(labelsize=7)
    words = [w for s in (analysis.words.segments if analysis.words else ()) for w in s.words if abs(w.start_s - time_s) <= AROUND_S]
    low, high = axis.get_ylim()
    axis.set_ylim(low - 0.25 * (high - low), high)
    for k, word in enumerate(words):
        axis.text(word.start_s, low - (0.1 + 0.1 * (k % 2)) * (high - low), word.text, fontsize=6.5, va="center", clip_on=True)
    axis.set_xlim(time_s - AROUND_S, time_s + AROUND_S)
