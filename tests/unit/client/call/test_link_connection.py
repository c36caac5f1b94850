"""Certificates that a server may show, as the client reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from certificates import Authority, certificate
from teleglyph.client.address import Address
from teleglyph.client.call.link_connection import LinkAttempt
from teleglyph.keys.certificate import self_signed
from teleglyph.server.tls_certificate import _leaf_of


def attempt_with(der: bytes) -> LinkAttempt:
    attempt = LinkAttempt(Address("example.org", 27224), None, None, None)
    attempt._certificate = der
    return attempt


def test_only_another_issuer_may_be_an_authority(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue(tmp_path / "issued.pem", "example.org")
    assert attempt_with(_leaf_of(issued)).has_authority
    assert not attempt_with(_leaf_of(certificate(tmp_path, "example.org"))).has_authority
    assert not attempt_with(self_signed(None).der).has_authority
    assert not attempt_with(b"").has_authority, "before the TLS handshake"


@pytest.mark.parametrize("name", [b"\xff\xfeelegly\xff", b"Tele\xc3\x28lyp"])
def test_a_certificate_with_an_unreadable_name_has_no_authority(name: bytes) -> None:
    der = self_signed(None).der
    damaged = der.replace(b"Teleglyph", name)
    assert damaged != der
    assert not attempt_with(damaged).has_authority
