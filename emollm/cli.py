"""The command line: arguments in, exit codes out. Everything else is in `commands`, imported when a command runs.

Exit codes: 0 done, 2 bad usage or bad input (one line on stderr), 1 our fault.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Annotated, Any

import typer

from emollm.errors import EmollmError

app = typer.Typer(
    name="emollm",
    help="Chat about the emotions a clip shows in face, voice and words, on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def options(
    *,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Chat about the emotions a clip shows in face, voice and words, on your own machine."""
    if version:
        from emollm import __version__

        typer.echo(__version__)
        raise typer.Exit


def _mount() -> None:
    """Register commands; their modules import nothing heavy before they run."""
    from emollm.commands import analyze, bench, chat, data, doctor, evaluate, serve, synth, systems, train, weights
    from emollm.commands import app as app_command

    app.command("chat")(chat.chat)
    app.command("analyze")(analyze.analyze)
    app.command("app")(app_command.app)
    app.command("serve")(serve.serve)
    app.command("train")(train.train)
    app.command("eval")(evaluate.evaluate)
    app.command("bench")(bench.bench)
    app.command("synth")(synth.synth)
    app.command("systems")(systems.systems)
    app.command("doctor")(doctor.doctor)
    app.add_typer(weights.app, name="weights", help="Fetch, list and check pretrained weights.")
    app.add_typer(data.app, name="data", help="Read public corpora into one format, and check files of it.")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; the one place where errors become exit codes."""
    given = sys.argv[1:] if arguments is None else arguments
    verbose = "--verbose" in given
    # --verbose may stand anywhere, as people add it to the end of a failing command.
    given = [a for a in given if a != "--verbose"]
    _mount()
    # What libraries tell their own developers is no message for users.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    warnings.filterwarnings("ignore", category=UserWarning, module="transformers")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells of a faster kernel on the hub whenever it is installed
    try:
        result: Any = app(args=given, standalone_mode=False, prog_name="emollm")
    except EmollmError as error:
        if verbose:
            raise
        _fail(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted.", 130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        tell = getattr(error, "format_message", None)  # wrong usage, as the argument parser says it
        if tell is not None:
            _fail(f"{tell()} See emollm --help.", 2)
        if verbose:
            raise
        _fail(
            f"this is a fault of emollm, not yours: {type(error).__name__}: {error}. Run again with --verbose and report the traceback.", 1
        )
    else:
        sys.exit(result if isinstance(result, int) else 0)


def _fail(message: str, code: int) -> None:
    typer.echo(f"emollm: {message}", err=True)
    sys.exit(code)
