"""Each connection has one writer.  This checks the source, because a second writer would pass most tests."""

from __future__ import annotations

import ast
from pathlib import Path

import teleglyph

SOURCE = Path(teleglyph.__file__).parent
WRITES = {"write", "writelines", "write_eof", "sendall", "send_bytes", "send_str", "sendmsg"}
ALLOWED = {
    # The writer itself, and the half-close at its end.
    ("net/connection.py", "write"): 2,
    ("net/connection.py", "write_eof"): 1,
    # A connection that was never admitted gets one sentence before it is closed.
    ("net/tcp.py", "write"): 1,
    # The near end of a socket pair: passes on what came out of a data channel, and nothing else writes there.
    ("net/tunnel.py", "write"): 1,
}
TRANSPORTS = {"transport", "_transport", "sock", "socket", "_socket"}


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_nothing_else_writes_to_a_transport() -> None:
    found: dict[tuple[str, str], int] = {}
    for layer in ("net", "call", "rooms", "events", "server"):
        for path in sorted((SOURCE / layer).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                if node.func.attr in WRITES and _name(node.func.value) in TRANSPORTS:
                    key = (f"{layer}/{path.name}", node.func.attr)
                    found[key] = found.get(key, 0) + 1
    assert found == ALLOWED
