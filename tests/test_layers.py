"""Which room may know which: an import the wrong way fails here."""

import ast
from pathlib import Path

import emollm

ROOT = Path(emollm.__file__).parent
BASE = {"values", "units", "markdown", "errors", "lazy", "quiet", "processor", "catalog", "recipe", "running", "__init__"}
# room -> rooms it may import
ALLOWED = {
    "private": {"running"},
    "media": BASE,
    "encoders": BASE,
    "projectors": BASE,
    "weights": BASE,
    "recipe": {"catalog", "errors"},
    "watch": BASE | {"media", "encoders"},
    "listen": BASE | {"media", "encoders"},
    "sights": BASE | {"media", "encoders", "watch"},
    "motion": BASE,
    "perception": BASE | {"media", "encoders", "watch", "listen", "sights", "motion"},
    "model": BASE | {"projectors", "weights"},
    "data": BASE | {"model", "sights", "motion"},
    "pool": BASE,
    "batch": BASE | {"pool", "perception", "watch", "verdict", "exports", "encoders", "media"},
    "build": BASE | {"perception", "model", "data", "encoders", "media", "weights"},
    "verdict": BASE,
    "texts": BASE,
    "exports": BASE | {"watch", "verdict", "motion", "texts"},
    "training": BASE | {"build", "data", "model", "encoders", "media", "weights", "synth"},
    "synth": BASE | {"weights", "data", "encoders", "media"},
    "engine": BASE | {"weights"},
    "chat": BASE | {"engine", "build", "data", "model", "perception", "watch", "sights", "encoders", "media"},
    "evaluation": BASE | {"motion", "chat", "data", "media", "perception", "synth"},
    "annotation": BASE | {"data", "batch", "verdict", "exports", "chat", "media", "evaluation"},
    "serving": BASE | {"chat", "media", "exports", "private"},
    "cluster": BASE | {"batch", "build", "chat", "engine", "media", "model", "private"},
    "app": BASE | {"chat", "exports", "texts", "verdict", "motion", "recipe", "weights", "model", "private"},
}


def imports(path: Path) -> set[str]:
    """Rooms of emollm that a file imports at run time, wherever the import stands; imports for type checkers do not count."""
    found: set[str] = set()
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(n) for block in ast.walk(tree) if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test) for n in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "emollm":
            rest = node.module.split(".")[1:]
            found |= {rest[0]} if rest else {a.name for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("emollm.")}
    return found


def test_arrows_point_one_way():
    wrong = []
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room in ALLOWED:
            strangers = imports(path) - ALLOWED[room] - {room, "__version__"}
            wrong += [f"{path.relative_to(ROOT)} imports emollm.{s}" for s in sorted(strangers)]
    assert not wrong, "\n".join(wrong)


def test_every_module_says_what_it_is():
    bare = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*.py") if not ast.get_docstring(ast.parse(p.read_text("utf-8")))]
    assert not bare


def test_no_print_below_the_command_line():
    loud = []
    for path in ROOT.rglob("*.py"):
        if path.relative_to(ROOT).parts[0] in {"commands", "cli.py"}:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                loud.append(str(path.relative_to(ROOT)))
    assert not loud


def test_data_folders_hold_no_python():
    for name in ("adapters", "instruct_data", "eval"):
        assert not list((ROOT.parent / name).rglob("*.py"))


def test_cards_name_no_system_and_systems_no_card():
    systems = {p.stem.replace("_", "-") for p in (ROOT.parent / "adapters").glob("*.toml")}
    cards = {p.stem.replace("_", "-") for p in (ROOT.parent / "eval").glob("*.toml")}
    assert systems and cards
    for path in (ROOT.parent / "eval").glob("*.toml"):
        assert not [s for s in systems if s in path.read_text("utf-8")]
    for path in (ROOT.parent / "adapters").glob("*.toml"):
        assert not [c for c in cards if c in path.read_text("utf-8")]
