"""The arrows of the house: app -> cascade -> models, never back, and what each may lean on.

Reads every source file with ``ast`` and names each offence as file:line. Knows nothing of what the
code does. The rules are tried on made-up offences below, so that a rule that sees nothing fails.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("app", "cascade", "models", "loadtest")
OURS = ("app", "cascade", "models")

HTTP = ("fastapi", "starlette", "uvicorn", "prometheus_client")
# Folder -> what nothing in it may import.
FORBIDDEN = {
    "cascade": ("ucbd.app", "vllm", *HTTP),
    "models": ("ucbd.app", "ucbd.cascade", *HTTP),
    "loadtest": ("ucbd",),
}
# The only files that know vLLM.
# Folders that are packages of their own too, under another name: they say "." instead.
TWO_NAMES = ("models/exact_entropy/",)
VLLM_FILES = ("models/vllm", "models/exact_entropy/", "loadtest/raw_engine.py")
# Who may read the environment or a configuration file, and why.
SETTINGS_READERS = {
    "app/settings.py": "it is the reader",
    "app/workers.py": "prometheus_client takes the folder of several processes only from there",
    "models/vllm_start.py": "vLLM takes some settings only from the environment",
}
CONFIGURATION = ("tomllib", "configparser", "dotenv", "yaml", "pydantic_settings")
UNSAFE_MODULES = ("pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib")
NOT_A_NOUN = ("util", "utils", "helper", "helpers", "misc")

Offence = tuple[int, str]
Rule = Callable[[str, ast.Module], Iterator[Offence]]


def imports(tree: ast.Module) -> Iterator[Offence]:
    """(line, dotted name) of everything imported, at the top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (f"{node.module}." if node.module else "")
            yield from ((node.lineno, base + alias.name) for alias in node.names)


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def wrong_way_imports(path: str, tree: ast.Module) -> Iterator[Offence]:
    forbidden = FORBIDDEN.get(path.split("/")[0], ())
    for line, name in imports(tree):
        if within(name, forbidden):
            yield line, f"imports {name}"


def vllm_outside_its_files(path: str, tree: ast.Module) -> Iterator[Offence]:
    if path.startswith(VLLM_FILES):
        return
    for line, name in imports(tree):
        if within(name, ("vllm",)):
            yield line, f"imports {name}"


def relative_imports(path: str, tree: ast.Module) -> Iterator[Offence]:
    if path.startswith(TWO_NAMES):
        return
    for line, name in imports(tree):
        if name.startswith("."):
            yield line, f"imports {name}, not by its full name"


def settings_read_elsewhere(path: str, tree: ast.Module) -> Iterator[Offence]:
    if path in SETTINGS_READERS or not path.startswith(OURS):
        return
    for line, name in imports(tree):
        if within(name, (*CONFIGURATION, "os.environ", "os.getenv")):
            yield line, f"imports {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "putenv"):
            yield node.lineno, f"uses .{node.attr}"


def unsafe_loading(path: str, tree: ast.Module) -> Iterator[Offence]:
    for line, name in imports(tree):
        if within(name, (*UNSAFE_MODULES, "torch.load")):
            yield line, f"imports {name}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in ("torch.load", "eval", "exec"):
            yield node.lineno, f"calls {called}"
        for keyword in node.keywords:
            if keyword.arg == "trust_remote_code" and ast.unparse(keyword.value) != "False":
                yield node.lineno, "lets a model's own code run (trust_remote_code)"


def missing_docstring(path: str, tree: ast.Module) -> Iterator[Offence]:
    if ast.get_docstring(tree) is None:
        yield 1, "has no docstring"


def name_that_says_nothing(path: str, tree: ast.Module) -> Iterator[Offence]:
    if Path(path).stem in NOT_A_NOUN or set(Path(path).parts) & set(NOT_A_NOUN):
        yield 1, "is named for nothing in particular"


RULES: tuple[Rule, ...] = (
    wrong_way_imports,
    vllm_outside_its_files,
    relative_imports,
    settings_read_elsewhere,
    unsafe_loading,
    missing_docstring,
    name_that_says_nothing,
)


def offences(rule: Rule, path: str, source: str) -> list[str]:
    return [f"{path}:{line} {what}" for line, what in rule(path, ast.parse(source))]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_source_file_breaks_the_rule(rule: Rule) -> None:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert {path.relative_to(ROOT).parts[0] for path in files} >= set(OURS)
    found = [
        offence
        for path in files
        for offence in offences(rule, path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("path", SETTINGS_READERS)
def test_every_file_with_leave_to_read_settings_exists(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize(
    ("rule", "path", "source", "offence"),
    [
        (wrong_way_imports, "cascade/a.py", "import os\nimport fastapi", "2 imports fastapi"),
        (
            wrong_way_imports,
            "models/deep/a.py",
            "def f():\n    from ucbd import cascade",
            "2 imports ucbd.cascade",
        ),
        (
            wrong_way_imports,
            "cascade/a.py",
            "from ucbd.app.errors import X",
            "1 imports ucbd.app.errors.X",
        ),
        (wrong_way_imports, "loadtest/a.py", "import ucbd.models", "1 imports ucbd.models"),
        (
            vllm_outside_its_files,
            "models/embedder.py",
            "from vllm import LLM",
            "1 imports vllm.LLM",
        ),
        (vllm_outside_its_files, "app/a.py", "import vllm.config", "1 imports vllm.config"),
        (
            relative_imports,
            "app/a.py",
            "from . import errors",
            "1 imports .errors, not by its full name",
        ),
        (
            settings_read_elsewhere,
            "cascade/a.py",
            "import os\nos.environ['X']",
            "2 uses .environ",
        ),
        (
            settings_read_elsewhere,
            "app/a.py",
            "from os import getenv",
            "1 imports os.getenv",
        ),
        (settings_read_elsewhere, "models/a.py", "import tomllib", "1 imports tomllib"),
        (unsafe_loading, "models/a.py", "import pickle", "1 imports pickle"),
        (unsafe_loading, "models/a.py", "import torch\ntorch.load('x')", "2 calls torch.load"),
        (unsafe_loading, "models/a.py", "eval('1')", "1 calls eval"),
        (
            unsafe_loading,
            "models/a.py",
            "load(x, trust_remote_code=True)",
            "1 lets a model's own code run (trust_remote_code)",
        ),
        (missing_docstring, "app/a.py", "x = 1", "1 has no docstring"),
        (name_that_says_nothing, "app/utils.py", "", "1 is named for nothing in particular"),
        (name_that_says_nothing, "app/misc/a.py", "", "1 is named for nothing in particular"),
    ],
)
def test_a_rule_names_the_line_of_an_offence(
    rule: Rule, path: str, source: str, offence: str
) -> None:
    assert offences(rule, path, source) == [f"{path}:{offence}"]


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (wrong_way_imports, "app/a.py", "import fastapi, ucbd.cascade.answer, ucbd.models.engine"),
        (wrong_way_imports, "models/a.py", "import ucbd_other"),
        (vllm_outside_its_files, "models/vllm_engine.py", "import vllm"),
        (settings_read_elsewhere, "app/settings.py", "import os, tomllib\nos.environ"),
        (unsafe_loading, "models/a.py", "model.eval()\nload(x, trust_remote_code=False)"),
    ],
)
def test_a_rule_lets_the_allowed_pass(rule: Rule, path: str, source: str) -> None:
    assert offences(rule, path, source) == []
