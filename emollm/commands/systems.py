"""`emollm systems`: the recipes with what they are made of."""

from __future__ import annotations

import typer


def systems() -> None:
    """List the systems with their scales and streams."""
    from rich.console import Console
    from rich.table import Table

    from emollm import catalog
    from emollm.recipe import load_recipe

    table = Table("system", "source", "scales", "streams (tokens)", "stages", "summary")
    for name in catalog.names("adapters"):
        recipe = load_recipe(name)
        table.add_row(
            recipe.name,
            recipe.source,
            ", ".join(recipe.scales),
            ", ".join(f"{s.name} ({s.projector.tokens})" for s in recipe.streams),
            ", ".join(s.name for s in recipe.stages),
            recipe.summary,
        )
    Console(width=None if typer.get_text_stream("stdout").isatty() else 160).print(table)
