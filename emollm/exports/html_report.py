"""One clip, or several, as a single HTML file that loads nothing: player (if the clip is to be inside), timeline, evidence, transcript."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from html import escape
from pathlib import Path

import emollm
from emollm.exports.panels import clip_details, clip_panels
from emollm.texts import ENGLISH, Words
from emollm.values import Analysis

PAGE = Path(__file__).resolve().parent / "page"
_TYPES = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; media-src data:"
_STYLE = """
body { margin: 0; background: var(--em-ground); color: var(--em-ink); font: 15px/1.5 ui-sans-serif, system-ui, sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 28px 20px 60px; display: grid; gap: 30px; }
h1 { font-size: 24px; letter-spacing: -0.02em; margin: 0 0 6px; }
header p, .em-talk dt { color: var(--em-soft); margin: 0; font-size: 13px; }
.em-talk dd { margin: 0 0 10px; white-space: pre-wrap; } .em-talk h2 { font-size: 15px; margin: 0 0 8px; }
@media print { .em-key, .em-scrub, .em-check { display: none !important; } body { background: #fff; } }
"""
_DARK = "() => { if (matchMedia('(prefers-color-scheme: dark)').matches) document.documentElement.classList.add('dark'); }"


def html_report(clips: Sequence[tuple[Analysis, Path | None]], words: Words | None = None, turns: Sequence[tuple[str, str]] = ()) -> str:
    """The page as text.

    Args:
        clips: What was measured, each with the file that is to be put inside, or None for a report without pictures and sound.
        words: Texts; English if None.
        turns: Questions with their answers.
    """
    say = words or Words(ENGLISH)
    bodies = [
        clip_panels(analysis, _inside(analysis, path) if path is not None else "", say, title=f"{say('report.file')}: {analysis.name}")
        + clip_details(analysis, say)
        for analysis, path in clips
    ]
    title = escape(say("report.title"))
    made = escape(say("report.made", version=emollm.__version__, when=f"{datetime.now():%Y-%m-%d %H:%M}"))
    style = (PAGE / "clip.css").read_text("utf-8") + _STYLE
    script = (PAGE / "clip.js").read_text("utf-8")
    return (
        f'<!doctype html><html lang="{say.language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><title>{title}</title><style>{style}</style></head><body><main>'
        f"<header><h1>{title}</h1><p>{escape(say('report.note'))}</p><p>{made}</p></header>{''.join(bodies)}{_talk(turns, say)}</main>"
        f"<script>({_DARK})();({script})();</script></body></html>\n"
    )


def _inside(analysis: Analysis, path: Path) -> str:
    return f"data:{_TYPES[analysis.kind]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _talk(turns: Sequence[tuple[str, str]], words: Words) -> str:
    if not turns:
        return ""
    rows = "".join(
        f"<dt>{escape(words('report.you'))}</dt><dd>{escape(asked)}</dd><dt>{escape(words('report.it'))}</dt><dd>{escape(answer)}</dd>"
        for asked, answer in turns
    )
    return f'<section class="em-talk"><h2>{escape(words("report.conversation"))}</h2><dl>{rows}</dl></section>'
