"""Installs other Nostr relays into ``build/bench-peers`` for the event benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_CACHE = Path(__file__).parent.parent / "build" / "bench-peers"
PYTHON_PACKAGES = ("nostr-relay==1.14", "nostr-sdk==0.45.1")
NPM_PACKAGES = ("@nostr-relay/core@0.0.40", "@nostr-relay/validator@0.0.40", "ws@8.23.0")
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def python_peers() -> Path:
    """The directory of programs in a virtual environment with the peers from PyPI."""
    place = _CACHE / "python"
    if not _is_installed(place, PYTHON_PACKAGES):
        _run([sys.executable, "-m", "venv", "--clear", str(place)])
        _run([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", *PYTHON_PACKAGES])
        _mark(place, PYTHON_PACKAGES)
    return place / "bin"


def npm_peers() -> Path:
    """The directory with the peers from npm in ``node_modules``."""
    place = _CACHE / "npm"
    if not _is_installed(place, NPM_PACKAGES):
        place.mkdir(parents=True, exist_ok=True)
        environment = dict(os.environ)
        if _CERTIFICATES.is_file():
            # Node has its own list of authorities; the system's may have more.  An empty value adds none.
            environment["NODE_EXTRA_CA_CERTS"] = environment.get("NODE_EXTRA_CA_CERTS") or str(_CERTIFICATES)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(place)]
        _run([*command, *NPM_PACKAGES], environment)
        _mark(place, NPM_PACKAGES)
    return place


def _is_installed(place: Path, packages: tuple[str, ...]) -> bool:
    stamp = place / "installed"
    return stamp.is_file() and stamp.read_text().split() == list(packages)


def _mark(place: Path, packages: tuple[str, ...]) -> None:
    (place / "installed").write_text("\n".join(packages))


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environment)
    if result.returncode:
        raise OSError(f"{' '.join(command)} failed: {result.stderr.strip()[-500:]}")
