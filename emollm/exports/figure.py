"""An Analysis as one picture: expression of each face over time, the voice's stretches and the words beneath."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from emollm.exports.report import voice_during
from emollm.lazy import need
from emollm.values import Analysis
from emollm.verdict import Verdict, judge

# Colours that colour-blind people tell apart as well (after Okabe and Ito); neutral is grey.
COLOURS = {
    "neutral": "#999999", "happy": "#E69F00", "sad": "#0072B2", "surprise": "#56B4E9", "angry": "#D55E00", "fear": "#CC79A7",
    "disgust": "#009E73", "contempt": "#7F5A3C", "calm": "#BBBBBB", "bored": "#5D6D7E",
}  # fmt: skip
MOST_PEOPLE = 4


def draw_timeline(analysis: Analysis, path: Path) -> Path:
    """Write a PNG.

    Raises:
        NeedsExtraError: matplotlib is not installed.
    """
    need("matplotlib", extra="analyze")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    faces = analysis.faces[:MOST_PEOPLE]
    verdict = judge(analysis)
    heights = [2.0] * max(1, len(faces)) + [0.5, 1.0, 0.9]
    figure = Figure(figsize=(10, 0.6 + sum(heights) * 1.05), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    if not faces:
        axes[0].text(
            0.5, 0.5, analysis.missing.get("face", "no face"), ha="center", va="center", transform=axes[0].transAxes, color="#555555"
        )
        axes[0].set_yticks([])
    for person, (axis, reading) in enumerate(zip(axes, faces, strict=False), 1):
        times = reading.track.times_s
        order = np.argsort(-reading.scores.mean(0))
        shares = [reading.scores[:, i] for i in order]
        names = [reading.labels[i] for i in order]
        if len(times) > 1:
            axis.stackplot(times, shares, labels=names, colors=[COLOURS.get(n, "#333333") for n in names], linewidth=0)
        else:
            axis.bar(np.arange(len(names)) * 0.1, [s[0] for s in shares], width=0.08, color=[COLOURS.get(n, "#333333") for n in names])
        axis.set_ylim(0, 1)
        axis.set_ylabel("face" if len(faces) == 1 else f"person {person}")
    handles = _legend(faces[0].labels) if faces else []
    if handles:
        axes[0].legend(handles=handles, ncols=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, fontsize=8)
    _joined(axes[-3], verdict)
    _melody(axes[-2], analysis)
    _sound(axes[-1], analysis)
    axes[-1].set_xlabel("seconds")
    axes[-1].set_xlim(0, max(analysis.duration_s, 0.1))
    figure.savefig(path, dpi=110)
    return path


def _joined(axis: Any, verdict: Verdict | None) -> None:
    """What all modalities tell of the main character; deep colours are sure, marks above are peaks, hatching is disagreement."""
    axis.set_ylim(0, 1.3)
    axis.set_yticks([0.5], ["joined"])
    if verdict is None:
        return
    lead = min((m.person for m in verdict.moments if m.person is not None), default=None)
    for moment in verdict.moments:
        if moment.person == lead:
            colour = COLOURS.get(moment.label, "#333333")
            axis.broken_barh([(moment.start_s, moment.end_s - moment.start_s)], (0, 1), color=colour, alpha=0.3 + 0.7 * moment.confidence)
            axis.text(moment.start_s, 0.5, f" {moment.label} {moment.confidence:.0%}", va="center", fontsize=7, clip_on=True)
    for clash in verdict.disagreements:
        axis.broken_barh([(clash.start_s, clash.end_s - clash.start_s)], (0, 1), facecolor="none", edgecolor="#CC3311", hatch="///", lw=0.5)
    times = [p.time_s for p in verdict.peaks]
    axis.plot(times, [1.15] * len(times), "v", color="#CC3311", markersize=5)


def _melody(axis: Any, analysis: Analysis) -> None:
    curve = analysis.voice.curve if analysis.voice is not None else None
    axis.set_ylabel("pitch")
    if curve is None or not np.isfinite(curve.pitch_hz).any():
        axis.set_yticks([])
        return
    axis.plot(curve.times_s, curve.pitch_hz, ".", color="#4477AA", markersize=2)
    axis.set_yscale("log", base=2)
    ticks = [t for t in (75, 100, 150, 200, 300, 400) if np.nanmin(curve.pitch_hz) * 0.9 <= t <= np.nanmax(curve.pitch_hz) * 1.1]
    axis.set_yticks(ticks, [str(t) for t in ticks], fontsize=7)
    axis.minorticks_off()


def _legend(labels: tuple[str, ...]) -> list[Any]:
    from matplotlib.patches import Patch

    return [Patch(color=COLOURS.get(n, "#333333"), label=n) for n in labels]


def _sound(axis: Any, analysis: Analysis) -> None:
    axis.set_ylim(0, 2)
    axis.set_yticks([1.5, 0.5], ["voice", "words"])
    voice = analysis.voice
    if voice is None:
        axis.text(0.01, 0.75, analysis.missing.get("voice", "no voice"), transform=axis.transAxes, va="center", fontsize=8, color="#555555")
    else:
        before = ""
        for begin, end in voice.spans_s:
            label = voice.labels[int(voice_during(voice, begin, end).argmax())]
            axis.broken_barh([(begin, end - begin)], (1.1, 0.8), color=COLOURS.get(label, "#333333"))
            if label != before:
                axis.text(begin, 1.5, f" {label}", va="center", fontsize=8, color="white", clip_on=True)
            before = label
    for segment in analysis.words.segments if analysis.words is not None else ():
        axis.axvline(segment.start_s, ymax=0.5, color="#cccccc", linewidth=0.8)
        room = max(8, int((segment.end_s - segment.start_s) / max(analysis.duration_s, 0.1) * 120))
        text = segment.text.strip()
        axis.text(segment.start_s, 0.5, text if len(text) <= room else text[: room - 1] + "…", va="center", fontsize=8, clip_on=True)
