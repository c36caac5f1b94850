"""What the doctor says about a server, its certificate and the clocks."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from certificates import Authority, certificate
from teleglyph.client.address import Address
from teleglyph.client.doctor.call_server import check_certificate, check_clock, check_server, server_checks
from teleglyph.client.doctor.report import Finding, Verdict
from teleglyph.client.doctor.server_probe import Once, ServerClock, ServerFacts, clock_of, look_at
from teleglyph.errors import ConnectError
from teleglyph.keys import KnownHosts
from teleglyph.keys.certificate import ed25519_key_of, self_signed
from teleglyph.wire.link2 import ALPN

ADDRESS = Address("example.org", 27224)
Look = Callable[[], Awaitable[ServerFacts]]


def seen(**attributes: object) -> Look:
    """A server with link 2 that was looked at."""
    defaults: dict[str, object] = {
        "address": ADDRESS,
        "numeric": "192.0.2.7:27224",
        "round_trips": {"IPv4": 0.012},
        "has_tls": True,
        "has_link2": True,
    }

    async def look() -> ServerFacts:
        return ServerFacts(**(defaults | attributes))  # type: ignore[arg-type]

    return look


async def unreached() -> ServerFacts:
    raise ConnectError("Nobody listens on example.org:27224. Is the server running? Calls use port 27224.")


def of_server(look: Look) -> Finding:
    return asyncio.run(check_server(look))


def of_certificate(look: Look, known: KnownHosts | None = None) -> Finding:
    return asyncio.run(check_certificate(look, known or KnownHosts(Path("/nonexistent/known_hosts"), ())))


def expect(finding: Finding, verdict: Verdict, text: str, step: str = "") -> None:
    assert finding.verdict is verdict, finding
    assert text in finding.text, finding
    assert step in finding.step, finding


# --- the server ---------------------------------------------------------------------------------------------------


def test_a_call_server_that_answers() -> None:
    both = seen(round_trips={"IPv4": 0.012, "IPv6": 0.0144})
    expect(of_server(both), Verdict.OK, "answers over IPv4 in 12 ms and over IPv6 in 14 ms, with link 2.")


def test_a_server_that_cannot_be_reached_is_a_problem() -> None:
    expect(of_server(unreached), Verdict.PROBLEM, "Nobody listens on example.org:27224.", "Is the server running?")
    expect(of_certificate(unreached), Verdict.SKIPPED, "cannot be reached")


def test_a_dead_address_is_noted() -> None:
    found = of_server(seen(failures={"IPv6": "It did not answer."}))
    expect(found, Verdict.NOTE, "but not over IPv6", "allow the port for IPv6")


def test_a_slow_server_is_noted() -> None:
    expect(of_server(seen(round_trips={"IPv4": 0.31})), Verdict.NOTE, "slow for a conversation", "cable")


def test_other_services_are_named() -> None:
    expect(of_server(seen(has_link2=False)), Verdict.PROBLEM, "leads to another service", "wss://example.org")
    web = seen(has_link2=False, has_tls=False, has_http=True)
    expect(of_server(web), Verdict.PROBLEM, "a web server without TLS", "ws://example.org:27224")
    other = seen(has_link2=False, has_tls=False)
    expect(of_server(other), Verdict.NOTE, "neither TLS nor HTTP", "ascii-chat")


def test_without_a_server_nothing_is_looked_at(tmp_path: Path) -> None:
    checks = server_checks(None, KnownHosts(tmp_path / "hosts", ()))
    findings = [asyncio.run(_run(check.run)) for check in checks]
    assert [finding.verdict for finding in findings] == [Verdict.SKIPPED] * 2
    assert findings[0].step == "Add --server HOST to check one."


async def _run(look: Callable[[], Awaitable[Finding]]) -> Finding:
    return await look()


# --- its certificate ----------------------------------------------------------------------------------------------


def der(file: Path) -> bytes:
    text = file.read_text()
    return ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE") :])


def test_a_certificate_of_its_own_is_noted(tmp_path: Path) -> None:
    made = self_signed(None).der
    expect(of_certificate(seen(certificate=made)), Verdict.NOTE, "made its certificate itself:", "docs/browser.md")
    known = KnownHosts(tmp_path / "hosts", ())
    known.add("192.0.2.7:27224", ed25519_key_of(made), "example.org:27224")
    expect(of_certificate(seen(certificate=made), known), Verdict.NOTE, "with the key that you know")


def test_an_expired_certificate_is_a_problem(tmp_path: Path) -> None:
    made = der(Authority(tmp_path).issue(tmp_path / "old.pem", "example.org", is_expired=True))
    found = of_certificate(seen(certificate=made, distrust="certificate has expired"))
    expect(found, Verdict.PROBLEM, "The certificate expired on 2", "must renew it")


def test_a_certificate_that_soon_expires_is_noted(tmp_path: Path) -> None:
    made = der(Authority(tmp_path).issue(tmp_path / "new.pem", "example.org"))
    expect(of_certificate(seen(certificate=made)), Verdict.NOTE, "expires on", "renew it now")


def test_a_certificate_for_another_name_is_a_problem(tmp_path: Path) -> None:
    made = der(Authority(tmp_path).issue(tmp_path / "other.pem", "other.example"))
    mismatch = "Hostname mismatch, certificate is not valid for 'example.org'"
    found = of_certificate(seen(certificate=made, distrust=mismatch))
    expect(found, Verdict.PROBLEM, "which is for other.example: Hostname mismatch", "Join with a name that it is for")
    unknown = of_certificate(seen(certificate=made, distrust="unable to get local issuer certificate"))
    expect(unknown, Verdict.PROBLEM, "unable to get local issuer", "whole chain")


def test_a_certificate_that_cannot_be_read_is_a_problem() -> None:
    expect(of_certificate(seen(certificate=b"nonsense")), Verdict.PROBLEM, "cannot be read", "--tls-cert")
    expect(of_certificate(seen(certificate=None)), Verdict.SKIPPED, "has no TLS")


# --- clocks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "verdict", "text"),
    [
        (0.3, Verdict.OK, "agree, within 0.9 s"),
        (-5.5, Verdict.OK, "agree"),
        (20.0, Verdict.NOTE, "clock is 20 s behind example.org:27224"),
        (-20.0, Verdict.NOTE, "clock is 20 s ahead of example.org:27224"),
        (3600.0, Verdict.PROBLEM, "3600 s behind example.org:27224: invitations"),
    ],
)
def test_clocks(offset: float, verdict: Verdict, text: str) -> None:
    found = asyncio.run(check_clock([unreached, seen(clock=None), seen(clock=ServerClock(offset, 0.6))]))
    expect(found, verdict, text, "" if verdict is Verdict.OK else "timedatectl")


def test_clocks_without_anything_to_compare() -> None:
    expect(asyncio.run(check_clock([])), Verdict.SKIPPED, "nothing to compare", "--server HOST")
    expect(asyncio.run(check_clock([unreached, seen(clock=None)])), Verdict.SKIPPED, "No server said its time")


def test_the_date_of_an_answer_is_half_a_second_wrong_on_average() -> None:
    found = clock_of("Wed, 21 Oct 2015 07:28:00 GMT", 1445412470.4, 1445412470.6)
    assert found is not None
    assert found.offset == pytest.approx(10.0)
    assert found.uncertainty == pytest.approx(0.6)


@pytest.mark.parametrize("date", ["", "soon", "Wed, 99 Oct 2015 07:28:00 GMT", "\0"])
def test_a_date_that_is_none(date: str) -> None:
    assert clock_of(date, 0.0, 0.0) is None


# --- looking at real sockets --------------------------------------------------------------------------------------


class Served:
    """A service on a port of this machine."""

    def __init__(self, answer: bytes = b"", tls: ssl.SSLContext | None = None) -> None:
        self._answer, self._tls = answer, tls

    def look(self, host: str = "127.0.0.1") -> ServerFacts:
        """What a look finds."""

        async def main() -> ServerFacts:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
            async with server:
                return await look_at(Address(host, server.sockets[0].getsockname()[1]))

        return asyncio.run(main())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if (await reader.read(4)).startswith(b"GET"):
                writer.write(self._answer)
                await writer.drain()
        except OSError:
            pass
        writer.close()


def context(file: Path, *protocols: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(file)
    made.set_alpn_protocols(list(protocols))
    return made


def answer(date: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()


def test_a_look_at_a_server_with_link2(tmp_path: Path) -> None:
    before = time.time()
    tls = context(certificate(tmp_path, "localhost"), ALPN, "http/1.1")
    facts = Served(answer("Wed, 21 Oct 2015 07:28:00 GMT"), tls).look()
    assert facts.has_tls
    assert facts.has_link2
    assert facts.has_http
    assert list(facts.round_trips) == ["IPv4"]
    assert facts.certificate is not None
    assert facts.distrust
    assert facts.clock is not None
    assert 1445412480 - time.time() <= facts.clock.offset <= 1445412481 - before


def test_a_look_at_another_tls_service(tmp_path: Path) -> None:
    facts = Served(tls=context(certificate(tmp_path, "localhost"), "imap")).look()
    assert (facts.has_tls, facts.has_link2, facts.has_http) == (True, False, False)


def test_a_look_at_a_trusted_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    tls = context(authority.issue(tmp_path / "server.pem", "localhost"), ALPN, "http/1.1")
    assert Served(tls=tls).look("localhost").distrust == ""
    assert "mismatch" in Served(tls=tls).look("127.0.0.1").distrust


def test_a_look_at_a_web_server_without_tls() -> None:
    facts = Served(answer("Wed, 21 Oct 2015 07:28:00 GMT")).look()
    assert (facts.has_tls, facts.has_http) == (False, True)


def test_a_look_at_a_service_that_speaks_neither() -> None:
    facts = Served(b"220 hello\r\n").look()
    assert (facts.has_tls, facts.has_http, facts.clock) == (False, False, None)


def test_a_look_at_nothing() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        await look_at(Address("127.0.0.1", port))

    with pytest.raises(ConnectError, match="Nobody listens on 127"):
        asyncio.run(main())


def test_a_look_at_an_unknown_name() -> None:
    with pytest.raises(ConnectError, match=r"nowhere\.invalid"):
        asyncio.run(look_at(Address("nowhere.invalid", 27224)))


def test_several_checks_share_one_look() -> None:
    looks = 0

    async def look() -> ServerFacts:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)
        return await seen()()

    async def main() -> None:
        once = Once(look)
        first = asyncio.create_task(check_server(once))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(check_server(once), check_clock([once]), check_server(once))

    asyncio.run(main())
    assert looks == 1
