"""``GET /health`` reports whether the database works."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import psycopg

from conftest import ServerProcess


def health(server: ServerProcess) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/health", timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_health_follows_a_database_that_hangs_and_recovers(
    start_server: Callable[..., ServerProcess], postgresql: str
) -> None:
    with psycopg.connect(postgresql, autocommit=True) as base:
        base.execute("CREATE DATABASE health")
        url = postgresql.replace("/postgres?", "/health?")
        server = start_server("--http", "--http-port", "0", "--events", "--database", url)
        assert health(server)[0] == 200
        rows = base.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = 'health' AND backend_type = 'client backend'"
        ).fetchall()
    pids = [pid for (pid,) in rows]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        status, document = health(server)
        assert (status, document["status"]) == (503, "degraded")
        assert "has not finished a write" in document["reason"]
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    end = time.monotonic() + 30
    while health(server)[0] != 200:
        assert time.monotonic() < end
    assert health(server)[1]["status"] == "ok"
    assert "reason" not in health(server)[1]
