"""Tables of benchmark results on standard output."""

from __future__ import annotations

from collections.abc import Sequence


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table with a title; the first column is aligned left, the others right.

    Args:
        title: printed above.
        header: one name for each column.
        rows: cells, printed with ``str``; every row has as many as the header.
    """
    table = [list(header), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(line[column]) for line in table) for column in range(len(header))]
    print(f"\n{title}\n")
    for number, line in enumerate(table):
        cells = [
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    print(flush=True)
