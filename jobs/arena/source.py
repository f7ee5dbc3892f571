"""What a fit's figures depend on besides settings and data: the source that a method runs, and its libraries.

Takes a module's name; gives a digest over the syntax of every module of this application that it imports, directly or
not. Comments, docstrings and layout do not count, nor does code that it never reaches: a change elsewhere does not
make hours of measurements void. What a module looks up by name is for the caller to add.
"""

import ast
import hashlib
import importlib.metadata
import json
from functools import cache
from pathlib import Path

from training.artifact import package_versions

ROOT = Path(__file__).resolve().parents[2]
OURS = ("feature_extraction", "training", "inference", "jobs")
# Tables of names by which a module finds others: a method that is added there changes no other one.
NAME_TABLES = {"ARTIFACTS", "TRAINERS"}


def key(*parts: object) -> str:
    """Return sixteen hex digits over values, as JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def digest(module: str) -> str:
    """Return sixteen hex digits over the source that `module` reaches and the versions of the libraries it imports."""
    reached = _reached(module)
    libraries = sorted({name for found in reached for name in _imports(found) if name.split(".")[0] not in OURS})
    parts = [[found, _syntax(found)] for found in sorted(reached)]
    versions = [[name, version] for name in libraries if (version := _version(name.split(".")[0]))]
    return key(parts, versions)


def _reached(module: str) -> set[str]:
    reached: set[str] = set()
    todo = {module}
    while todo:
        found = todo.pop()
        reached.add(found)
        todo |= {name for name in _imports(found) if name.split(".")[0] in OURS and _file(name)} - reached
    return reached


@cache
def _imports(module: str) -> frozenset[str]:
    """Return every module that a module names in an import; a name imported from a package may be a module itself."""
    found: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def _file(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split("."))
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@cache
def _tree(module: str) -> ast.Module:
    path = _file(module)
    if path is None:
        raise ValueError(f"{module} is no module of this application")
    return ast.parse(path.read_text())


@cache
def _syntax(module: str) -> str:
    tree = ast.parse(ast.unparse(_tree(module)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    tree.body = [node for node in tree.body if not _is_name_table(node)]
    return key(ast.dump(tree))


def _is_name_table(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id in NAME_TABLES for target in node.targets
    )


def _version(library: str) -> str:
    try:
        (found,) = package_versions(library).values()
    except importlib.metadata.PackageNotFoundError:
        return ""  # the standard library, or what is not installed
    return f"{library} {found}"
