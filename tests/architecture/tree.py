"""The tracked source of the project, parsed once."""

import ast
import gc
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("crdt", "transport", "node", "chaos")


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One source file."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    @property
    def where(self) -> str:
        return str(self.path.relative_to(ROOT))


def _read(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name=name, path=path, text=text, tree=ast.parse(text))


def _read_all(paths: Iterable[Path]) -> tuple[Module, ...]:
    """All of them; the collector would go through millions of nodes that stay, again and again."""
    gc.disable()
    try:
        return tuple(_read(path) for path in sorted(paths))
    finally:
        gc.enable()


@cache
def sources() -> tuple[Module, ...]:
    """Every module of the packages."""
    return _read_all(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@cache
def code_of_tests() -> tuple[Module, ...]:
    """Every file of the tests."""
    return _read_all((ROOT / "tests").rglob("*.py"))


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git tracks; every file at all where there is no repository."""
    done = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - whichever git the machine has
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode == 0 and done.stdout:
        names = done.stdout.decode().split("\0")
        return tuple(ROOT / name for name in names if name and (ROOT / name).is_file())
    skipped = {".venv", ".git", "__pycache__", "dist", "build"}
    return tuple(
        path for path in ROOT.rglob("*") if path.is_file() and not skipped & set(path.parts)
    )


def imports(module: Module, *, typing_too: bool = False) -> set[str]:
    """Full names of what a module imports when it is loaded, and later inside functions.

    What stands under `if TYPE_CHECKING:` is never loaded, so it may close a circle.
    """
    found: set[str] = set()
    waiting: list[ast.AST] = [module.tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= _imported_from(module, node)
        waiting += (c for c in _within(node) if typing_too or not _is_for_types(c))
    return found


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """What may hold a statement; no expression does."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        inner = getattr(node, name, ())
        if isinstance(inner, list):
            yield from inner


def _imported_from(module: Module, node: ast.ImportFrom) -> set[str]:
    start = node.module or ""
    if node.level:
        parts = module.name.split(".")
        held = parts if module.path.name == "__init__.py" else parts[:-1]
        kept = held[: len(held) - node.level + 1]
        start = ".".join([*kept, start] if start else kept)
    return {start, *(f"{start}.{alias.name}" for alias in node.names)}


def _is_for_types(node: ast.AST) -> bool:
    if not isinstance(node, ast.If):
        return False
    test = node.test
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"
