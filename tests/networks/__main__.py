"""Networks to try something by hand: ``PYTHONPATH=src:tests python -m networks "full cone" symmetric``.

It needs root, and ends with Ctrl+C. coturn runs at service.test, port 3478, with the secret "secret".
"""

import contextlib
import shlex
import signal
import sys

from networks.homes import Networks, Place
from networks.namespace import WITH_NAMES
from networks.routers import NAT_KINDS
from networks.turn import TurnServer


def main() -> None:
    kinds = [kind for word in sys.argv[1:] for kind in NAT_KINDS if kind == word]
    if len(kinds) < len(sys.argv) - 1 or not kinds:
        sys.exit(f"Name the kind of router of each home: {', '.join(map(repr, NAT_KINDS))}.")
    with Networks(*kinds) as networks, TurnServer(networks.public, secret="secret"):
        show("The public net, with the servers", networks.public)
        for kind, home in zip(kinds, networks.homes, strict=True):
            show(f"A host at home behind a router of the kind {kind!r}", home.host)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


def show(what: str, place: Place) -> None:
    """Print how to get a shell at a place."""
    command = ["nsenter", f"--net={place.path}", *WITH_NAMES, "bash"]
    print(f"{what} ({place.address}):\n  {shlex.join(command)}\n", flush=True)


if __name__ == "__main__":
    main()
