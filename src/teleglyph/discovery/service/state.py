"""What all parts of the service share."""

from __future__ import annotations

from dataclasses import dataclass, field

from teleglyph.discovery.service.clock import Clock
from teleglyph.discovery.service.counters import ServiceCounters
from teleglyph.discovery.service.ice import IceSettings
from teleglyph.discovery.service.index import SessionIndex
from teleglyph.discovery.service.limits import RequestKind, ServiceLimits
from teleglyph.discovery.service.live_session import LiveSession, ServicePeer
from teleglyph.discovery.service.passwords import PasswordChecker
from teleglyph.discovery.service.refusal import Reason, RefusedError
from teleglyph.discovery.service.signatures import Signatures
from teleglyph.net import SlidingWindow
from teleglyph.wire.acip import ErrorMessage

_PERIOD = 60.0
_REMEMBERED_ADDRESSES = 50_000


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How the service behaves.

    Attributes:
        limits: of requests and sessions.
        ice: servers for hosts.
        requires_server_identity: sessions are only created with a signature.
        requires_client_identity: sessions are only joined with one.
    """

    limits: ServiceLimits = ServiceLimits()
    ice: IceSettings = IceSettings()
    requires_server_identity: bool = False
    requires_client_identity: bool = False


@dataclass(slots=True)
class ServiceState:
    """The state of one service."""

    settings: ServiceSettings
    index: SessionIndex
    clock: Clock = field(default_factory=Clock)
    counters: ServiceCounters = field(default_factory=ServiceCounters)
    signatures: Signatures = field(default_factory=Signatures)
    passwords: PasswordChecker = field(default_factory=PasswordChecker)
    windows: dict[RequestKind, SlidingWindow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in RequestKind:
            self.windows[kind] = SlidingWindow(self.settings.limits.rate(kind), _PERIOD, _REMEMBERED_ADDRESSES)

    @property
    def limits(self) -> ServiceLimits:
        """The limits."""
        return self.settings.limits

    @property
    def now(self) -> float:
        """On the monotonic clock."""
        return self.clock.monotonic()

    @property
    def held_until(self) -> int:
        """Until when the name of a session that ends now stays with its owner, Unix milliseconds."""
        return self.clock.now_ms + int(self.limits.held * 1000)

    def count(self, peer: ServicePeer, kind: RequestKind) -> None:
        """Count a request.

        Raises:
            RefusedError: its address sends too many of this kind.
        """
        self.counters.requests[kind.value] += 1
        if not self.windows[kind].allow(peer.network, self.now):
            text = f"Too many requests from your address (at most {self.limits.rate(kind)} a minute)."
            raise RefusedError(Reason.RATE, text)

    def refused(self, error: RefusedError) -> None:
        """Count a refusal."""
        self.counters.refused[error.reason.label] += 1

    def fail(self, peer: ServicePeer, error: RefusedError) -> None:
        """Count a refusal and send it as ERROR_MESSAGE."""
        self.refused(error)
        peer.send(ErrorMessage(error.reason.number, error.text))

    def touch(self, live: LiveSession) -> None:
        """Note that something happened in a session."""
        self.index.touched(live, self.clock.now_ms)
