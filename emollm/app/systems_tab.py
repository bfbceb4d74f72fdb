"""The tab "Systems": every recipe with its size and scores, and a switch to another one while the page stays open."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from emollm import catalog, weights
from emollm.app.parts import status
from emollm.app.standby import Standby
from emollm.app.trust import table
from emollm.errors import EmollmError
from emollm.exports.panels import note
from emollm.recipe import load_recipe
from emollm.texts import Words

if TYPE_CHECKING:
    from emollm.app.page import Page

SCALES = ("mini", "full", "toy")


class SystemsTab:
    """Its components, and what its button does."""

    def __init__(self, backend: Standby, page: Page, words: Words, language: Callable[[gr.Request], str]) -> None:
        from emollm.app.page import pane

        self._backend, self._page, self._language = backend, page, language
        self.table = page.say_with(pane(overview(words), "emollm-systems"), overview)
        with gr.Row(elem_id="emollm-switch-row"):
            self.system = gr.Dropdown(catalog.names("adapters"), value="emollm", label=words("systems.choose"), elem_id="emollm-system")
            self.scale = gr.Dropdown(list(SCALES), value="mini", label=words("systems.scale"), elem_id="emollm-scale")
            self.switch = gr.Button(words("systems.switch"), elem_id="emollm-switch")
        page.labelled(self.system, label="systems.choose")
        page.labelled(self.scale, label="systems.scale")
        page.labelled(self.switch, value="systems.switch")
        self.note = pane("", "emollm-switch-note")

    def wire(self, tab: gr.Tab, aside: dict[str, Any]) -> None:
        """Bind the events."""
        tab.select(self.sized, None, self.table, **aside)
        self.switch.click(self.change, [self.system, self.scale], [self.note, self._page.status, self._page.timer], **aside)

    def sized(self, request: gr.Request) -> str:
        """The table with sizes, counted once the model that is being loaded is there."""
        self._backend.settled()
        return overview(Words(self._language(request)), count=True)

    def change(self, system: str, scale: str, request: gr.Request) -> tuple[str, str, Any]:
        """Load another system in the background; the timer tells when it is there."""
        words = Words(self._language(request))
        fault = refused(system, scale, words)
        if not fault and not self._backend.load(system, scale):
            fault = words("systems.loading")
        told = note(fault, alert=True) if fault else note(f"{words('systems.loading')} {words('systems.shared')}")
        return told, status(self._backend.state(), words), gr.Timer(active=True)


def refused(system: str, scale: str, words: Words) -> str:
    """Why a system cannot be used here, in words; empty if it can."""
    try:
        spec = load_recipe(system).at(scale)
    except EmollmError as error:
        return str(error)
    wanted = [spec.llm.weights] if spec.llm.weights else []
    missing = [name for name in wanted if not weights.ready(name)]
    if missing:
        return f"{', '.join(missing)}: emollm weights pull {missing[0]}"
    if scale != "toy" and spec.shipped is None:
        return words("systems.untrained", system=system)
    return ""


def overview(words: Words, *, count: bool = False) -> str:
    """All recipes as a table; sizes only if they are to be counted, which takes seconds the first time."""
    rows = []
    for name in catalog.names("adapters"):
        recipe = load_recipe(name)
        sizes = counted(name) if count else ("…", "…")
        own = recipe.source == "ours"
        published = "; ".join(f"{k} {v}" for k, v in recipe.published.items()) or ("-" if own else words("systems.none"))
        measured = "; ".join(f"{k} {v}" for k, v in recipe.measured.items()) or (_ours() if own else words("systems.none"))
        rows.append([recipe.name, recipe.source, *sizes, published, measured])
    return (
        f'<div class="em-tab"><h2>{escape(words("systems.title"))}</h2><p class="em-soft">{escape(words("systems.intro"))}</p>'
        f"{table(words.rows('systems.head'), rows)}</div>"
    )


@cache
def _ours() -> str:
    """What the shipped chat model scores on the cards at hand: the first row of our own table."""
    table = tomllib.loads((catalog.folder("eval") / "published" / "ours.toml").read_text("utf-8"))
    scores = next(iter(table["rows"].values()))
    return "; ".join(f"{column['name']} {score}" for column, score in zip(table["columns"], scores, strict=True))


@cache
def counted(name: str) -> tuple[str, str]:
    """What learns, and the language model, at mini; "-" where the shape of the language model is not known yet."""
    from emollm.model.sizes import sizes
    from emollm.quiet import quiet_transformers

    try:
        with quiet_transformers():
            found = sizes(load_recipe(name), "mini")
    except EmollmError:
        return ("-", "-")
    return (f"{found.trainable / 1e6:.2f} M", f"{found.llm / 1e6:.0f} M")
