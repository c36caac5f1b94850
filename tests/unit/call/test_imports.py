"""No import cycle in ``call/``; imports for type checkers count as well."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import teleglyph.call

PREFIX = "teleglyph.call."


def imports_of(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)}


def test_the_modules_of_a_call_have_an_order() -> None:
    modules = {path.stem: imports_of(path) for path in Path(teleglyph.call.__file__).parent.glob("*.py")}
    assert len(list(TopologicalSorter(modules).static_order())) >= len(modules)
