"""The README's annotated tree is the repository's tree: each file has its line, each line its file.

The format is described in CONTRIBUTING.md. Reads git's list of files, so that caches and
environments do not count; knows nothing of what the files hold.
"""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
TOP = "ucbd-gateway/"
# Files that every package has and that say nothing.
UNLISTED = ("__init__.py", "py.typed")
LINE = re.compile(r"(?P<indent> *)(?P<name>\S+)(?: +(?P<note>\S.*))?")


def tree_block(readme: str) -> list[str]:
    """Lines of the one fenced block that begins with ``ucbd-gateway/``, without that line."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    trees = [block.splitlines()[1:] for block in blocks if block.startswith(TOP)]
    assert len(trees) == 1, f"README.md has {len(trees)} blocks that begin with {TOP}, not one"
    return trees[0]


def problems(tree: list[str], files: Iterable[str]) -> list[str]:
    """Every difference between the tree's lines and the repository's files, in words."""
    found: list[str] = []
    parents: list[str] = []
    listed: set[str] = set()
    whole: set[str] = set()
    for number, line in enumerate(tree, start=2):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.rstrip())
        assert match, line
        depth, odd = divmod(len(match["indent"]), 2)
        if odd or depth not in range(1, len(parents) + 2):
            found.append(f"line {number}: indented by {len(match['indent'])}: {match['name']}")
            continue
        name = match["name"]
        del parents[depth - 1 :]
        path = "".join([*parents, name])
        if name.endswith("/"):
            parents.append(name)
        if not match["note"]:
            found.append(f"line {number}: {path} has no word on what it is")
        if path in listed:
            found.append(f"line {number}: {path} stands there twice")
        listed.add(path)
        if name.endswith("/") and (match["note"] or "").startswith("…"):
            whole.add(path)

    paths = {file for file in files if PurePosixPath(file).name not in UNLISTED}
    folders = {f"{folder}/" for path in files for folder in PurePosixPath(path).parents}
    inside = {path for path in paths for folder in whole if path.startswith(folder)}
    found += [f"{path} is listed, but does not exist" for path in sorted(listed - paths - folders)]
    found += [f"{path} exists, but is not listed" for path in sorted(paths - listed - inside)]
    return found


def repository_files() -> list[str]:
    """Tracked files and new ones that git does not ignore, less those deleted."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted({path for path in listing.split("\0") if path and (ROOT / path).exists()})


def test_the_tree_in_the_readme_is_the_tree_of_the_repository() -> None:
    tree = tree_block((ROOT / "README.md").read_text("utf-8"))
    assert not (found := problems(tree, repository_files())), "\n" + "\n".join(found)


FILES = ["Makefile", "app/__init__.py", "app/cli.py", "app/page/a.css", "app/page/deep/b.js"]
TREE = [
    "  app/            the edge",
    "    cli.py        `ucbd`",
    "    page/         … one page",
    "  Makefile        commands",
]


def test_a_complete_tree_has_no_problems() -> None:
    assert problems(TREE, FILES) == []


@pytest.mark.parametrize(
    ("tree", "files", "problem"),
    [
        (TREE, [*FILES, "app/new.py"], "app/new.py exists, but is not listed"),
        (TREE, [f for f in FILES if f != "app/cli.py"], "app/cli.py is listed, but does not exist"),
        (TREE, FILES[:3], "app/page/ is listed, but does not exist"),
        ([*TREE, "  Makefile      again"], FILES, "line 6: Makefile stands there twice"),
        ([*TREE[:3], "  Makefile"], FILES, "line 5: Makefile has no word on what it is"),
        (
            [*TREE[:2], "    page/         one page", TREE[3]],
            FILES[:4],
            "app/page/a.css exists, but is not listed",
        ),
    ],
)
def test_each_kind_of_difference_is_named(tree: list[str], files: list[str], problem: str) -> None:
    assert problems(tree, files) == [problem]


@pytest.mark.parametrize("line", ["   x.py   odd", "        x.py   too deep", "x.py   not inside"])
def test_a_wrong_indentation_is_named(line: str) -> None:
    assert any("indented by" in problem for problem in problems([*TREE, line], FILES))


@pytest.mark.parametrize("readme", ["no block", f"```\n{TOP}\n```\n```\n{TOP}\n```\n"])
def test_a_readme_without_exactly_one_tree_is_refused(readme: str) -> None:
    with pytest.raises(AssertionError, match="not one"):
        tree_block(readme)


def test_the_tree_is_found_among_other_blocks() -> None:
    readme = f"```sh\nmake serve\n```\ntext\n```text\n{TOP}\n  a.py   a\n```\n"
    assert tree_block(readme) == ["  a.py   a"]
