"""`emollm doctor`: what this machine has, and what is missing for what."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys

import typer

PACKAGES = {
    "torch": "",
    "transformers": "",
    "peft": "",
    "av": "",
    "ai-edge-litert": "",
    "llguidance": "",
    "gradio": "app",
    "fastapi": "serve",
    "scikit-learn": "eval",
}


def doctor() -> None:
    """Report the environment, the weights and what to do about what is missing."""
    from emollm import __version__, weights

    typer.echo(f"emollm {__version__}, Python {sys.version.split()[0]}, {platform.platform()}, {os.cpu_count()} CPU cores")
    faults = 0
    for package, extra in PACKAGES.items():
        try:
            typer.echo(f"  {package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            faults += not extra
            typer.echo(f"  {package} is missing: pip install 'emollm{f'[{extra}]' if extra else ''}'")
    import torch

    typer.echo(f"  GPU: {torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'none, the CPU does it all'}")
    from emollm.engine.choose import told

    typer.echo(f"  engine: {told()}")
    cache = weights.default_cache()
    home = next((p for p in (cache, *cache.parents) if p.exists()), None)
    typer.echo(f"weights in {cache} ({shutil.disk_usage(home).free / 1e9:.0f} GB free)" if home else f"weights in {cache}")
    for name in weights.names("mini"):
        ready = weights.ready(name)
        faults += not ready
        typer.echo(f"  {name}: {'ready' if ready else 'missing, run: emollm weights pull ' + name}")
    from emollm.build import shipped_folder
    from emollm.recipe import load_recipe

    shipped = shipped_folder(load_recipe("emollm"), "mini")
    typer.echo(f"  trained emollm-mini: {'ready' if (shipped / 'adapters.safetensors').is_file() else f'missing in {shipped}'}")
    typer.echo("all well." if not faults else f"{faults} thing(s) to mend before `emollm chat` works.")
