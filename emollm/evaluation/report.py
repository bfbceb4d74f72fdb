"""Results of one or several cards to a Markdown page and to one HTML page that loads nothing.

Ids and texts, and in the HTML page small pictures of the worst items of cards that allow it, where the data folder is given.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from emollm.evaluation.blind import best_floor
from emollm.evaluation.judges.overlap import KINDS
from emollm.evaluation.leaderboard import compared
from emollm.evaluation.results import found_in, samples_of
from emollm.evaluation.stills import Stills, stills_of
from emollm.evaluation.tally import LESS_IS_BETTER

WORST = 10
LONGEST = 200  # letters of a text that is shown
BINS = 10
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}"
    "td,th{border:1px solid #bbb;padding:.2rem .5rem;text-align:left}"
    "figure{display:inline-block;margin:.3rem .8rem .3rem 0}figcaption{font-size:.8rem}img{height:96px;margin-right:2px}"
    ".wide{overflow-x:auto}.warn{border-left:4px solid #b00;padding-left:.6rem}svg text{font:11px sans-serif;fill:currentColor}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}td,th{border-color:#555}}"
)
Row = Sequence[str]


def write_report(folder: Path, data: Path | None = None) -> tuple[Path, Path]:
    """report.md and report.html from all results in a folder and below it.

    Args:
        folder: Of results.
        data: Where the media of the items are; without it there are no pictures.

    Raises:
        DataError: There are none.
    """
    cards = [(results, samples_of(home)) for home, results in found_in(folder)]
    pages = folder / "report.md", folder / "report.html"
    pages[0].write_text(markdown(cards), "utf-8")
    pages[1].write_text(page(cards, Stills(data) if data is not None else None), "utf-8")
    return pages


Cards = Sequence[tuple[dict[str, Any], Sequence[dict[str, Any]]]]


def markdown(cards: Cards) -> str:
    """The report as Markdown."""
    lines = ["# Report", "", *_md_table(*_overview(cards))]
    for results, rows in cards:
        lines += ["", f"## {results['card']}", ""]
        lines += [line + "  " for line in _about(results)]
        lines += [f"\n**Warning.** {_md(w)}" for w in results.get("warnings", [])]
        for title, head, body in _parts(results, rows):
            lines += ["", f"### {title}", "", *_md_table(head, body)]
    return "\n".join(lines) + "\n"


def page(cards: Cards, stills: Stills | None = None) -> str:
    """The report as one HTML page, its pictures inside it."""
    out = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>",
        f"<title>Report</title><style>{_STYLE}</style></head><body><h1>Report</h1>",
        _html_table(*_overview(cards)),
    ]
    for results, rows in cards:
        out.append(f"<h2>{_esc(results['card'])}</h2><p>{'<br>'.join(map(_esc, _about(results)))}</p>")
        out += [f"<p class='warn'><b>Warning.</b> {_esc(w)}</p>" for w in results.get("warnings", [])]
        for title, head, body in _parts(results, rows):
            out.append(f"<h3>{_esc(title)}</h3>")
            if title == "Confusion":  # the picture says every count
                out.append(f"<div class='wide'>{_matrix(results['confusion'])}</div>")
                continue
            if title == "Reliability":
                out.append(_diagram(bins(rows)))
            out.append(_html_table(head, body))
        figures = [_figures(name, pictures) for name, pictures in stills_of(results, worst(rows), stills)]
        out += [*figures, f"<p>{_esc((results.get('card_file') or {}).get('credit', ''))}</p>"] if figures else []
    return "\n".join([*out, "</body></html>"]) + "\n"


# --- what is in it -------------------------------------------------------------------------------------------------------------------


def _overview(cards: Cards) -> tuple[Row, list[Row]]:
    body: list[Row] = []
    for r, _ in cards:
        key = r["headline"]
        value, bounds = r.get("metrics", {}).get(key), r.get("metrics", {}).get("interval")
        floor = _best_floor(r, key)
        row = [r["card"], str(r.get("system") or "-"), str(r.get("n", "-")), key, _number(value), _span(bounds)]
        row += [f"{_number(floor[1])} ({floor[0]})" if floor else "-", _share(r.get("parse_rate")), _beats(key, value, floor)]
        body.append(row)
    return ("card", "system", "n", "measure", "score", "95 % interval", "best floor", "parse rate", "above floor"), body


def _about(r: dict[str, Any]) -> list[str]:
    kept = [("", r.get("about")), ("Protocol: ", r.get("protocol")), ("Measure: ", r.get("measure")), ("Source: ", r.get("source"))]
    lines = [f"{head}{text}" for head, text in kept if text]
    counts = [
        f"{r[k]} {what}" for k, what in (("missing", "missing"), ("duplicate", "said twice"), ("unknown", "of unknown id")) if r.get(k)
    ]
    return [*lines, f"{r.get('n', '-')} items" + (f"; answers: {', '.join(counts)}" if counts else ""), *_made(r)]


def _made(r: dict[str, Any]) -> list[str]:
    """How the results can be made again."""
    where = r.get("environment")
    if not where:
        return []
    card = f"card version {r['card_version']}, " if "card_version" in r else ""
    who = "".join(
        f", {what} {r[k]}" for k, what in (("recipe_hash", "recipe"), ("weights", "weights"), ("endpoint", "endpoint")) if r.get(k)
    )
    versions = ", ".join(f"{k} {where[k]}" for k in ("python", "torch", "transformers") if where.get(k))
    threads = f", {where['threads']} threads" if where.get("threads") else ""
    return [f"Made {where.get('date', '')}: {card}seed {r.get('seed', '-')}{who}; {versions}, {where.get('device', '')}{threads}"]


def _parts(r: dict[str, Any], rows: Sequence[dict[str, Any]]) -> Iterable[tuple[str, Row, list[Row]]]:
    """(title, head, body) of every table of one card."""
    measures = {k: v for k, v in r.get("metrics", {}).items() if isinstance(v, int | float)}
    names = [k for k, f in r.get("floors", {}).items() if isinstance(f, dict)]
    body: list[Row] = []
    for key in sorted(measures, key=lambda k: k != r["headline"]):
        bounds = r.get("intervals", {}).get(key) or (r["metrics"].get("interval") if key == r["headline"] else None)
        body.append([key, _number(measures[key]), _span(bounds), *(_number(r["floors"][f].get(key)) for f in names)])
    yield "Measures and floors", ("measure", "score", "95 % interval", *names), body
    if r.get("floor_answers"):
        yield "What the floors answer", ("floor", "answer"), [[k, _cut(v)] for k, v in r["floor_answers"].items()]
    if r.get("members"):
        yield "Members", ("card", "headline"), [[k, _number(v)] for k, v in r["members"].items()]
    if r.get("confusion"):
        truths, found = _axes(r["confusion"])
        yield "Confusion", ("true \\ answered", *found), [[t, *(str(r["confusion"].get(t, {}).get(f, 0)) for f in found)] for t in truths]
    if steps := bins(rows):
        body = [[f"{low:.1f} to {low + 1 / BINS:.1f}", str(n), _number(sure), _number(right)] for low, n, sure, right in steps]
        yield "Reliability", ("confidence", "answers", "mean confidence", "accuracy"), body
    for name, values in ((name, values) for name, values in r.get("groups", {}).items() if len(values) > 1):
        body = [[v, str(g["n"]), _number(g.get(r["headline"])), _span(g.get("interval"))] for v, g in values.items()]
        yield f"By {name}", (name, "n", r["headline"], "95 % interval"), body
    yield from _people(r)
    if r.get("judges"):
        yield "Judges", _JUDGED, [_judged(name, j) for name, j in r["judges"].items()]
    if r.get("overlap"):
        body = [
            [
                name,
                _number(o["clues"]),
                _number(o["emotion"]),
                *(_number(o.get("another_answer", {}).get(k)) for k in KINDS),
                str(o["failed"]),
            ]
            for name, o in r["overlap"].items()
        ]
        yield "Overlap, 0 to 10", ("judge", "clues", "emotion", "clues of another answer", "emotion of another answer", "failed"), body
    yield from compared(r)
    if bad := worst(rows):
        yield "Worst items", ("id", "true", "read as", "said"), [[str(b["id"]), *map(_cut, _told(b))] for b in bad]


_JUDGED = ("judge", "tem", "content", "autodq", "contradicted", "similarity", "failed verdicts", "agreement with the rules", "kappa")


def _judged(name: str, j: dict[str, Any]) -> Row:
    numbers = [_number(j.get(k)) for k in ("tem", "content", "autodq", "contradicted", "similarity")]
    same = j["agreement"]
    return [name, *numbers, f"{j['failed_verdicts']} of {j['verdicts']}", f"{same['percent']:.1f} % of {same['n']}", _number(same["kappa"])]


def _people(r: dict[str, Any]) -> Iterable[tuple[str, Row, list[Row]]]:
    """Rendered people of different looks, at equal expression."""
    for kind, row in r.get("slices", {}).items():
        body: list[Row] = [[v, str(g["n"]), _number(g["correlation"]), _span(g.get("interval"))] for v, g in row["groups"].items()]
        if gap := row["gap"]:
            body.append([f"{gap['best']} - {gap['worst']}", "", _number(gap["value"]), _span(gap["interval"])])
        yield f"People by {kind}, {row['units']} units that moved in every group", (kind, "people", "correlation", "95 % interval"), body


def worst(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows furthest from right, surest first among wrong labels; unanswered ones last, as there is nothing to read."""

    def rank(row: dict[str, Any]) -> tuple[bool, float]:
        if "right" in row:
            return bool(row.get("missing") or row.get("error")), row["right"]
        right = row.get("label") == row.get("answer")
        return bool(row.get("error")), 1.0 if right else -row.get("scores", {}).get(row.get("answer"), 0.0)

    return [row for row in sorted(rows, key=rank) if rank(row)[1] < 1][:WORST]


def _told(row: dict[str, Any]) -> tuple[str, str, str]:
    said = "(no answer)" if row.get("missing") else row.get("error") or row.get("prediction", "")
    return str(row.get("truth", row.get("label", ""))), str(row["answer"]), ", ".join(said) if isinstance(said, list) else str(said or "")


def bins(rows: Sequence[dict[str, Any]]) -> list[tuple[float, int, float, float]]:
    """(lower bound, answers, mean confidence, accuracy) of every step of confidence that has answers; empty without scores."""
    steps: dict[int, list[tuple[float, bool]]] = {}
    for row in rows:
        truth, answer = row.get("truth", row.get("label")), row.get("answer")
        sure = (row.get("scores") or {}).get(answer)
        if isinstance(sure, int | float) and 0 <= sure <= 1 and "labels" not in row:
            steps.setdefault(max(0, -(-round(sure * 1e6) * BINS // 10**6) - 1), []).append((sure, truth == answer))
    return [(k / BINS, len(s), sum(p for p, _ in s) / len(s), sum(r for _, r in s) / len(s)) for k, s in sorted(steps.items())]


def _best_floor(r: dict[str, Any], key: str) -> tuple[str, float] | None:
    found = {k: {m: v for m, v in f.items() if _is_number(v)} for k, f in r.get("floors", {}).items() if isinstance(f, dict)}
    return best_floor(key, {m: v for m, v in r.get("metrics", {}).items() if _is_number(v)}, found)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _beats(key: str, value: float | None, floor: tuple[str, float] | None) -> str:
    if value is None or floor is None:
        return "-"
    return "yes" if (value < floor[1] if key in LESS_IS_BETTER else value > floor[1]) else "no"


# --- how it looks --------------------------------------------------------------------------------------------------------------------


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "-"


def _share(value: Any) -> str:
    return f"{100 * value:.0f} %" if isinstance(value, int | float) else "-"


def _span(bounds: Any) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}" if bounds else "-"


def _cut(text: str) -> str:
    flat = " ".join(str(text).split())
    return flat if len(flat) <= LONGEST else flat[: LONGEST - 3] + "..."


def _md(text: str) -> str:
    """A text that cannot break out of a table cell or bring tags or pictures into the page."""
    for letter in "\\`*[]<>|!":
        text = text.replace(letter, "&#" + str(ord(letter)) + ";")
    return text


def _md_table(head: Row, body: Sequence[Row]) -> list[str]:
    rows = ["| " + " | ".join(map(_md, row)) + " |" for row in (head, *body)]
    return [rows[0], "|" + " --- |" * len(head), *rows[1:]]


def _esc(text: str) -> str:
    return html.escape(str(text), quote=True)


def _html_table(head: Row, body: Sequence[Row]) -> str:
    rows = "".join("<tr>" + "".join(f"<td>{_esc(x)}</td>" for x in row) + "</tr>" for row in body)
    return f"<table><thead><tr>{''.join(f'<th>{_esc(x)}</th>' for x in head)}</tr></thead><tbody>{rows}</tbody></table>"


def _figures(name: str, pictures: Sequence[str]) -> str:
    shown = "".join(f"<img alt='' src='{address}'>" for address in pictures)
    return f"<figure>{shown}<figcaption>{_esc(name)}</figcaption></figure>"


def _axes(confusion: dict[str, dict[str, int]]) -> tuple[list[str], list[str]]:
    """True labels; answered labels, true ones first and unread last."""
    truths = sorted(confusion)
    strange = sorted({f for row in confusion.values() for f in row} - set(truths), key=lambda f: (f.startswith("(") or not f, f))
    return truths, truths + strange


def _matrix(confusion: dict[str, dict[str, int]]) -> str:
    """Rows are true labels; a cell is as dark as its share of the row, and says its count."""
    truths, found = _axes(confusion)
    side, left, top = 34, 130, 100
    out = [f"<svg role='img' aria-label='confusion' width='{left + side * len(found) + 10}' height='{top + side * len(truths) + 10}'>"]
    for j, name in enumerate(found):
        x = left + side * j + side / 2
        out.append(f"<text transform='translate({x:.0f},{top - 6}) rotate(-50)'>{_esc(_short(name))}</text>")
    for i, truth in enumerate(truths):
        y, total = top + side * i, sum(confusion[truth].values())
        out.append(f"<text x='{left - 6}' y='{y + side * 0.6:.0f}' text-anchor='end'>{_esc(_short(truth))}</text>")
        for j, name in enumerate(found):
            count = confusion[truth].get(name, 0)
            x, share = left + side * j, count / total if total else 0.0
            out.append(
                f"<rect x='{x}' y='{y}' width='{side - 1}' height='{side - 1}' fill='#2266aa' fill-opacity='{0.06 + 0.74 * share:.2f}'/>"
            )
            out.append(f"<text x='{x + side / 2 - 0.5:.1f}' y='{y + side * 0.6:.0f}' text-anchor='middle'>{count}</text>")
    return "".join([*out, "</svg>"])


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:16] + ".."


def _diagram(steps: Sequence[tuple[float, int, float, float]]) -> str:
    """Accuracy over confidence; on the dashed line confidence is exactly right. Circles grow with the number of answers."""
    size, edge = 240, 40
    most = max(n for _, n, _, _ in steps)
    out = [f"<svg role='img' aria-label='reliability' width='{size + 2 * edge}' height='{size + 2 * edge}'>"]
    out.append(f"<rect x='{edge}' y='{edge}' width='{size}' height='{size}' fill='none' stroke='#888'/>")
    out.append(f"<line x1='{edge}' y1='{edge + size}' x2='{edge + size}' y2='{edge}' stroke='#888' stroke-dasharray='4'/>")
    for _, n, sure, right in steps:
        x, y, radius = edge + size * sure, edge + size * (1 - right), 3 + 7 * (n / most) ** 0.5
        out.append(
            f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{radius:.1f}' fill='#2266aa' fill-opacity='.7'><title>{n} answers</title></circle>"
        )
    out.append(f"<text x='{edge + size / 2}' y='{2 * edge + size - 12}' text-anchor='middle'>confidence</text>")
    out.append(f"<text transform='translate(14,{edge + size / 2}) rotate(-90)' text-anchor='middle'>accuracy</text>")
    return "".join([*out, "</svg>"])
