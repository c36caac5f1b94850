"""No module of the package imports another that imports it, directly or through others."""

from __future__ import annotations

import grimp

KNOWN: frozenset[frozenset[str]] = frozenset(
    {
        frozenset({"teleglyph.cli.config_file", "teleglyph.cli.main"}),
        frozenset(
            f"teleglyph.call.{name}"
            for name in ("demand", "participant", "room", "scene", "screen_view", "viewer_screen")
        ),
    }
)
"""Cycles that are still to be removed."""


def import_cycles(graph: grimp.ImportGraph) -> list[frozenset[str]]:
    """Groups of modules that import each other: the strongly connected components with more than one module."""
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    importers: dict[str, set[str]] = {module: set() for module in imports}
    for module, imported in imports.items():
        for one in imported:
            importers[one].add(module)

    # Kosaraju's algorithm: in reverse order of completion, whatever leads to a module belongs to its component.
    finished: list[str] = []
    seen: set[str] = set()
    for start in sorted(imports):
        stack = [(start, iter(sorted(imports[start])))] if start not in seen else []
        seen.add(start)
        while stack:
            module, rest = stack[-1]
            following = next((one for one in rest if one not in seen), None)
            if following is None:
                finished.append(module)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(sorted(imports[following]))))

    cycles, assigned = [], set[str]()
    for root in reversed(finished):
        component, waiting = set[str](), [root]
        while waiting:
            module = waiting.pop()
            if module not in assigned:
                assigned.add(module)
                component.add(module)
                waiting.extend(importers[module])
        if len(component) > 1:
            cycles.append(frozenset(component))
    return cycles


def test_a_cycle_is_found_in_a_small_graph() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")):
        graph.add_import(importer=importer, imported=imported)
    assert import_cycles(graph) == [frozenset({"b", "c"})]


def test_no_modules_import_each_other() -> None:
    """Imports for type annotations count too."""
    graph = grimp.build_graph("teleglyph", exclude_type_checking_imports=False, cache_dir=None)
    found = [cycle for cycle in import_cycles(graph) if cycle not in KNOWN]
    assert not found, "\n".join(" <-> ".join(sorted(cycle)) for cycle in found)
