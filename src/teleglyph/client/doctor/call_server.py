"""Checks of a given server: whether it answers, what it speaks, its certificate, and the clocks of both machines."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from teleglyph.client.doctor.examination import Check, immediate
from teleglyph.client.doctor.report import Finding, note, ok, problem, skipped
from teleglyph.client.doctor.server_probe import SERVER_SECONDS, ServerFacts
from teleglyph.errors import ConnectError
from teleglyph.keys import KnownHosts
from teleglyph.keys.certificate import ed25519_key_of, is_self_signed
from teleglyph.keys.known_hosts import Verdict

if TYPE_CHECKING:
    from cryptography import x509

Look = Callable[[], Awaitable[ServerFacts]]

_SLOW = 0.3
"""Seconds of a round trip above which people interrupt each other."""
_SOON = datetime.timedelta(days=14)
_OFF, _FAR_OFF = 5.0, 60.0
"""Seconds between two clocks: noticeable, and enough to refuse invitations and relays."""
_UNREACHED = "The server cannot be reached."
_STUCK = "Check the server and the network between."
_SET_CLOCK = "Turn on its automatic setting, for example: sudo timedatectl set-ntp true."


def server_checks(look: Look | None, known: KnownHosts) -> list[Check]:
    """The checks of a call server.

    Args:
        look: looks at the server; None if the user named none.
        known: the servers that the user has joined.
    """
    if look is None:
        text = "No server was named."
        step = "Add --server HOST to check one."
        return [
            Check(name, title, immediate(partial(skipped, text, step)), _STUCK)
            for name, title in (("server", "call server"), ("certificate", "certificate"))
        ]
    return [
        Check("server", "call server", partial(check_server, look), _STUCK, SERVER_SECONDS),
        Check("certificate", "certificate", partial(check_certificate, look, known), _STUCK, SERVER_SECONDS),
    ]


def clock_check(looks: list[Look]) -> Check:
    """The check of this machine's clock, against the first of some servers that says its time."""
    return Check("clock", "clock", partial(check_clock, looks), _STUCK, SERVER_SECONDS)


async def check_server(look: Look) -> Finding:
    """Whether a server answers, how fast, and whether it is a call server."""
    try:
        facts = await look()
    except ConnectError as error:
        text, _, step = str(error).partition(". ")
        return problem(f"{text.rstrip('.')}.", step or "Check the address and your network.")
    trips = " and ".join(f"over {name} in {seconds * 1000:.0f} ms" for name, seconds in facts.round_trips.items())
    text = f"{facts.address} answers {trips}"
    if not facts.has_link2:
        return _other_protocol(facts, text)
    if facts.failures:
        names = " and ".join(facts.failures)
        return note(
            f"{text}, but not over {names}, although its name has such an address.",
            f"Its host should allow the port for {names}, or remove that address from the name. "
            "Until then, connecting may take longer.",
        )
    if min(facts.round_trips.values()) > _SLOW:
        return note(
            f"{text}: that is slow for a conversation.", "Use a cable instead of Wi-Fi, or a server nearer to you."
        )
    return ok(f"{text}, with link 2.")


def _other_protocol(facts: ServerFacts, text: str) -> Finding:
    address = facts.address
    if facts.has_tls:
        return problem(
            f"{text}, but TLS there leads to another service.",
            f"Check the port. If the call is behind a web server, join with wss://{address.host}.",
        )
    if facts.has_http:
        return problem(
            f"{text}, but it is a web server without TLS.",
            f"Check the port. If the call is behind that web server, join with ws://{address}.",
        )
    return note(
        f"{text}, but speaks neither TLS nor HTTP.",
        "It may be a server of ascii-chat, with which the client works, too. Otherwise check the port.",
    )


async def check_certificate(look: Look, known: KnownHosts) -> Finding:
    """Whether browsers and this machine can trust a server's certificate."""
    try:
        facts = await look()
    except ConnectError:
        return skipped(_UNREACHED)
    if facts.certificate is None:
        return skipped(f"{facts.address} has no TLS.")
    from cryptography import x509

    try:
        parsed = x509.load_der_x509_certificate(facts.certificate)
        own = is_self_signed(facts.certificate)
        key = ed25519_key_of(facts.certificate)
    except ValueError:
        return problem("The certificate cannot be read.", "Its host should make another one, with --tls-cert.")
    if own:
        is_known = key is not None and known.judge(facts.numeric, key)[0] is Verdict.KNOWN
        return note(
            f"{facts.address} made its certificate itself{', with the key that you know' if is_known else ''}: "
            "Teleglyph's programs check its key, but browsers refuse it.",
            "For people who join from a browser, its host needs a certificate for its name: docs/browser.md.",
        )
    end = parsed.not_valid_after_utc
    left = end - datetime.datetime.now(datetime.UTC)
    if left < datetime.timedelta(0):
        return problem(f"The certificate expired on {end:%Y-%m-%d}.", "Its host must renew it, and reload the server.")
    if parsed.not_valid_before_utc > datetime.datetime.now(datetime.UTC):
        return problem(
            f"The certificate is valid only from {parsed.not_valid_before_utc:%Y-%m-%d %H:%M} UTC.",
            "Check the clock of this machine.",
        )
    names = _names(parsed)
    if facts.distrust:
        wrong = "mismatch" in facts.distrust.lower() or "match" in facts.distrust.lower()
        return problem(
            f"This machine does not trust the certificate, which is for {names}: {facts.distrust}.",
            f"Join with a name that it is for: {names}."
            if wrong
            else "Its host should send the whole chain of certificates. For a private authority, set SSL_CERT_FILE.",
        )
    if left < _SOON:
        return note(f"The certificate expires on {end:%Y-%m-%d}.", "Its host should renew it now.")
    return ok(f"Valid until {end:%Y-%m-%d} for {names}.")


def _names(certificate: x509.Certificate) -> str:
    """The names in a certificate."""
    from cryptography import x509

    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return "no name"
    names = [*alternatives.get_values_for_type(x509.DNSName)]
    names += [str(address) for address in alternatives.get_values_for_type(x509.IPAddress)]
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown or "no name"


async def check_clock(looks: list[Look]) -> Finding:
    """Whether this machine and a server agree about the time."""
    if not looks:
        return skipped(
            "There is nothing to compare the clock with.",
            "Add --server HOST or --discovery HOST to compare the clocks.",
        )
    for look in looks:
        try:
            facts = await look()
        except ConnectError:
            continue
        if (clock := facts.clock) is None:
            continue
        distance = max(0.0, abs(clock.offset) - clock.uncertainty)
        if distance <= _OFF:
            return ok(f"This machine and {facts.address} agree, within {abs(clock.offset) + clock.uncertainty:.1f} s.")
        words = f"{abs(clock.offset):.0f} s {'behind' if clock.offset > 0 else 'ahead of'} {facts.address}"
        if distance <= _FAR_OFF:
            return note(f"This machine's clock is {words}.", _SET_CLOCK)
        return problem(
            f"This machine's clock is {words}: invitations, certificates and relays may be refused.", _SET_CLOCK
        )
    return skipped("No server said its time.")
