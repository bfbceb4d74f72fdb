"""Importing the package and asking for help must not load the heavy libraries."""

import subprocess
import sys

HEAVY = ("torch", "transformers", "gradio", "cv2", "av", "fastapi", "ray")


def loaded_after(code: str) -> list[str]:
    probe = f"import sys\n{code}\nsys.stdout.write('LOADED ' + ' '.join(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return done.stdout.rsplit("LOADED", 1)[1].split()


def test_import_is_light():
    assert loaded_after("import emollm") == []


def test_help_is_light():
    code = "from emollm.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert loaded_after(code) == []


def test_help_names_every_command():
    done = subprocess.run([sys.executable, "-m", "emollm", "--help"], capture_output=True, text=True, check=True)
    for command in ("chat", "app", "serve", "train", "eval", "weights", "systems", "doctor", "bench"):
        assert command in done.stdout
