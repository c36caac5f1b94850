"""Session descriptions (SDP) of one data channel: what both sides of a WebRTC connection tell each other first.

A description comes from a stranger, and is much more general than what a data channel needs.  So only descriptions of
exactly one data channel are accepted, everything has a bound, and candidates with addresses that nobody should be made
to send to are dropped.  See RFC 8866 (SDP), RFC 8839 (candidates) and RFC 8841 (data channels).
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from teleglyph.errors import ProtocolError

MAX_DESCRIPTION = 12000
"""Bytes of a description."""
MAX_CANDIDATES = 40
"""Candidates of a description; others are dropped."""
MAX_MESSAGE = 65536
"""Bytes of a data channel's message that we accept."""
_MIN_MESSAGE = 1024
_MAX_LINES = 400
_UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104
_MIN_PORT = 1024
"""Below are services that nobody should be made to send to; browsers and relays use dynamic ports."""
_MEDIA = re.compile(r"application [1-9][0-9]{0,4} (UDP|TCP)/DTLS/SCTP webrtc-datachannel")
_USERNAME = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}")
_MID = re.compile(r"[A-Za-z0-9]{1,16}")
_FOUNDATION = re.compile(r"[A-Za-z0-9+/]{1,32}")
_NUMBER = re.compile(r"[0-9]{1,10}")
_ONCE = frozenset(["ice-ufrag", "ice-pwd", "setup", "mid", "sctp-port", "max-message-size"])
"""Attributes of which two would contradict each other."""


class Role(enum.Enum):
    """What a description says about who begins the DTLS handshake (RFC 8842)."""

    OFFER = "actpass"
    """Of an offer: the other side begins."""
    ANSWER = "active"
    """Of an answer: this side begins."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address at which a side may be reached over UDP.

    Attributes:
        foundation: equal for candidates of the same kind and origin.
        priority: higher ones are tried first.
        host: a numeric address.
        port: of the address.
        kind: ``host``, ``srflx`` (seen by a STUN server) or ``relay`` (at a TURN server).
    """

    foundation: str
    priority: int
    host: str
    port: int
    kind: str

    def __str__(self) -> str:
        return f"{self.foundation} 1 udp {self.priority} {self.host} {self.port} typ {self.kind}"


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """One side of a data channel that is to be opened.

    Attributes:
        role: whether it is an offer or an answer.
        username, password: of this side's connectivity checks (ICE).
        fingerprint: SHA-256 of this side's DTLS certificate, as upper-case hexadecimal digits with colons.
        candidates: at most :data:`MAX_CANDIDATES`, the best first.
        mid: the name of the only media section; an answer repeats that of the offer.
        sctp_port: of this side's SCTP association.
        max_message: the largest message in bytes that this side accepts.
    """

    role: Role
    username: str
    password: str
    fingerprint: str
    candidates: Sequence[Candidate]
    mid: str = "0"
    sctp_port: int = 5000
    max_message: int = MAX_MESSAGE

    def encode(self) -> str:
        """The description as text."""
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 0.0.0.0",
            "s=-",
            "t=0 0",
            f"a=group:BUNDLE {self.mid}",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "c=IN IP4 0.0.0.0",
            f"a=mid:{self.mid}",
            f"a=ice-ufrag:{self.username}",
            f"a=ice-pwd:{self.password}",
            f"a=fingerprint:sha-256 {self.fingerprint}",
            f"a=setup:{self.role.value}",
            f"a=sctp-port:{self.sctp_port}",
            f"a=max-message-size:{self.max_message}",
            *(f"a=candidate:{candidate}{_related(candidate)}" for candidate in self.candidates),
            "a=end-of-candidates",
            "",
        ]
        return "\r\n".join(lines)

    @classmethod
    def decode(cls, text: str, role: Role) -> SessionDescription:
        """Parse the description of a peer.

        Args:
            text: as received.
            role: what it has to be.

        Raises:
            ProtocolError: it is too long, damaged, or not of exactly one data channel.
        """
        if len(text) > MAX_DESCRIPTION or len(text.encode(errors="replace")) > MAX_DESCRIPTION:
            raise ProtocolError(f"A session description has more than {MAX_DESCRIPTION} bytes.")
        lines = text.splitlines()
        if len(lines) > _MAX_LINES or not lines or lines[0] != "v=0":
            raise ProtocolError("A session description is damaged: it does not begin with v=0, or has too many lines.")
        media = [line[2:] for line in lines if line.startswith("m=")]
        if len(media) != 1 or _MEDIA.fullmatch(media[0]) is None:
            raise ProtocolError("A session description must have exactly one media section, a data channel.")
        values, fingerprint, candidates = _attributes(lines)
        if values.get("setup") != role.value:
            raise ProtocolError(f"The role in a session description must be {role.value}.")
        max_message = _number(values.get("max-message-size", str(MAX_MESSAGE)), "max-message-size", 2**32 - 1)
        if 0 < max_message < _MIN_MESSAGE:
            raise ProtocolError(f"A peer accepts messages of at most {max_message} bytes; {_MIN_MESSAGE} are needed.")
        return cls(
            role=role,
            username=_matching(_USERNAME, values.get("ice-ufrag", ""), "ice-ufrag"),
            password=_matching(_PASSWORD, values.get("ice-pwd", ""), "ice-pwd"),
            fingerprint=_matching(_FINGERPRINT, fingerprint, "SHA-256 fingerprint"),
            candidates=_best(candidates),
            mid=_matching(_MID, values.get("mid", "0"), "mid"),
            sctp_port=_number(values.get("sctp-port", ""), "sctp-port", 65535),
            max_message=min(max_message or MAX_MESSAGE, MAX_MESSAGE),
        )


def is_permitted(host: str, port: int) -> bool:
    """Whether a stranger may make us send to an address: a unicast one outside this machine, and no system port."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False  # a name: asking for it would tell others about us
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address.ipv4_mapped):
        return False
    return _MIN_PORT <= port <= 65535 and not (
        address.is_multicast
        or address.is_loopback
        or address.is_unspecified
        or address.is_link_local
        or (address.version == 4 and address.is_reserved)  # includes 255.255.255.255
        or (address.version == 4 and address.packed[0] == 0)
    )


def _related(candidate: Candidate) -> str:
    """The related address, which browsers require of these kinds, without saying anything."""
    if candidate.kind == "host":
        return ""
    return f" raddr {_UNSPECIFIED[':' in candidate.host]} rport 9"


def _attributes(lines: Iterable[str]) -> tuple[dict[str, str], str, list[Candidate]]:
    """The attributes that count, the SHA-256 fingerprint and the candidates.

    Session and media level are not told apart: there is only one media section.
    """
    values: dict[str, str] = {}
    fingerprint, candidates = "", []
    for line in lines:
        name, _, value = line.removeprefix("a=").partition(":")
        if not line.startswith("a="):
            continue
        if name == "candidate":
            candidate = _candidate(value)
            if candidate is not None:
                candidates.append(candidate)
        elif name == "fingerprint" and value.lower().startswith("sha-256 "):
            found = value[8:].strip().upper()
            if fingerprint not in {"", found}:
                raise ProtocolError("A session description has two SHA-256 fingerprints.")
            fingerprint = found
        elif name in _ONCE and values.setdefault(name, value) != value:
            raise ProtocolError(f"A session description has two different values of {name}.")
    return values, fingerprint, candidates


def _candidate(value: str) -> Candidate | None:
    """A candidate that can be used; None for TCP, mDNS names, other components, and addresses that are not permitted.

    The two sides of a connection need not have the same candidates, so dropping one is never an error.
    """
    words = value.split()
    if len(words) < 8 or words[1] != "1" or words[2].lower() != "udp" or words[6] != "typ":
        return None
    foundation, priority, host, port, kind = words[0], words[3], words[4], words[5], words[7]
    if not (_FOUNDATION.fullmatch(foundation) and _NUMBER.fullmatch(priority) and _NUMBER.fullmatch(port)):
        return None
    if kind not in {"host", "srflx", "relay"} or not is_permitted(host, int(port)):
        return None
    return Candidate(foundation, min(int(priority), 2**31 - 1), str(ipaddress.ip_address(host)), int(port), kind)


def _best(candidates: list[Candidate]) -> tuple[Candidate, ...]:
    distinct = {(candidate.host, candidate.port): candidate for candidate in candidates}
    return tuple(sorted(distinct.values(), key=lambda candidate: -candidate.priority)[:MAX_CANDIDATES])


def _matching(pattern: re.Pattern[str], value: str, name: str) -> str:
    if pattern.fullmatch(value) is None:
        raise ProtocolError(f"A session description has no valid {name}.")
    return value


def _number(value: str, name: str, highest: int) -> int:
    number = int(value) if _NUMBER.fullmatch(value) else highest + 1
    if number > highest:
        raise ProtocolError(f"A session description has no valid {name}.")
    return number
