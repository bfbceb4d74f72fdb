"""The page "About and privacy": what the program tells, what it must not be used for, what stays where, whose weights these are."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from emollm import weights
from emollm.texts import Words

SECTIONS = ("expression", "cannot", "leaves", "banned", "people", "crisis")
_EXAMPLE = "emollm serve    # http://127.0.0.1:8000/v1"


def about(words: Words, scale: str = "mini") -> str:
    """All of it as HTML."""
    blocks = [
        f'<section class="em-block"><h2>{escape(words(f"trust.{name}_title"))}</h2><p>{escape(words(f"trust.{name}"))}</p></section>'
        for name in SECTIONS
    ]
    blocks.append(
        f'<section class="em-block em-wide"><h2>{escape(words("trust.licence_title"))}</h2><p>{escape(words("trust.licence"))}</p>'
        f"{table(words.rows('trust.licence_head'), licences(scale))}</section>"
    )
    blocks.append(
        f'<section class="em-block em-wide"><h2>{escape(words("trust.code_title"))}</h2><p>{escape(words("trust.code"))}</p>'
        f'<pre tabindex="0"><code>{escape(_EXAMPLE)}</code></pre></section>'
    )
    return f'<div class="em-about">{"".join(blocks)}</div>'


def licences(scale: str) -> list[list[str]]:
    """Name, licence and origin of all packaged weights that a scale uses."""
    return [[one.name, one.licence, one.upstream] for name in weights.names(scale) for one in [weights.entry(name)]]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, marked: int | None = None) -> str:
    """A table that scrolls sideways by itself where the page is narrow."""
    heads = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    kinds = [" class=em-marked" if i == marked else "" for i in range(len(rows))]
    cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr{kind}>{row}</tr>" for kind, row in zip(kinds, cells, strict=True))
    whole = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="em-scroll" tabindex="0" role="region" aria-label="{escape(head[0], quote=True)}">{whole}</div>'
