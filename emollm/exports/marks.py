"""Small pieces of HTML that player, timeline and evidence share: times, colours, buttons that seek. Every string is escaped here."""

from __future__ import annotations

from html import escape

HUES = {
    "happ": "joy", "joy": "joy", "amus": "joy", "content": "joy", "excite": "joy",
    "sad": "sadness", "griev": "sadness", "lonel": "sadness", "disappoint": "sadness", "bor": "sadness",
    "ang": "anger", "frustrat": "anger",
    "fear": "fear", "anxi": "fear", "worr": "fear",
    "disgust": "disgust", "contempt": "disgust",
    "surpris": "surprise",
    "neutral": "neutral", "calm": "neutral",
}  # fmt: skip


def hue(label: str) -> str:
    """Name of the colour for a label; unknown labels share one."""
    return next((name for stem, name in HUES.items() if label.lower().startswith(stem)), "other")


def clock(seconds: float, *, tenths: bool = True) -> str:
    """Seconds as 0:03.4, or as 0:03 without tenths."""
    whole = round(seconds, 1) if tenths else float(round(seconds))
    minutes, rest = divmod(whole, 60)
    return f"{int(minutes)}:{rest:04.1f}" if tenths else f"{int(minutes)}:{int(rest):02d}"


def seek(seconds: float, spoken: str, shown: str | None = None) -> str:
    """A button that takes the player to a moment; `spoken` is what a screen reader says."""
    text = escape(shown if shown is not None else clock(seconds))
    return f'<button type="button" class="em-seek" data-seek="{seconds:.2f}" aria-label="{escape(spoken, quote=True)}">{text}</button>'


def place(start_s: float, end_s: float, duration_s: float, least: float = 0.4) -> str:
    """Where a stretch lies on a track, as an inline style."""
    start, end = max(0.0, start_s), min(duration_s, end_s)
    return f"left:{100 * start / duration_s:.2f}%;width:{max(least, 100 * (end - start) / duration_s):.2f}%"


def tenths(share: float) -> int:
    """A probability as "so many in ten", never none and never all: an estimate is no certainty."""
    return min(9, max(1, round(share * 10)))
