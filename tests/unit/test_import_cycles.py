"""No module of the package imports another that imports it, directly or through others."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import grimp


def import_cycle(imports: Mapping[str, set[str]]) -> list[str]:
    """A cycle: each module imports the next, and the last is the first; empty if there is no cycle."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_a_cycle_is_found_in_a_small_graph() -> None:
    assert import_cycle({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}}) in (["b", "c", "b"], ["c", "b", "c"])
    assert import_cycle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_no_modules_import_each_other() -> None:
    """Imports for type annotations count too."""
    graph = grimp.build_graph("teleglyph", exclude_type_checking_imports=False, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 100
    assert import_cycle(imports) == []
