"""A small Nostr client: publishes and subscribes at one relay, and reconnects and authenticates by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from teleglyph.errors import ConnectError, EventRefusedError, InvalidMessageError
from teleglyph.events.kinds import FIRST_EPHEMERAL, FIRST_REPLACEABLE, EventKind
from teleglyph.net.websocket_failure import CHAT, CONNECT_ERRORS, websocket_failure
from teleglyph.printable import fit
from teleglyph.wire.nostr.event import AUTHENTICATION, NostrEvent, parse_json, read_event, sign_event
from teleglyph.wire.nostr.keys import public_key

_OPEN_SECONDS = 5.0
_CLOSE_SECONDS = 1.0
_ANSWER_SECONDS = 10.0
_FIRST_PAUSE, _MAX_PAUSE = 0.5, 15.0
_RESUBSCRIBE_SECONDS = 5.0
"""Until a subscription that the relay closed is sent again."""
_MAX_MESSAGE = 1 << 20
_MAX_INFORMATION = 64 << 10
"""Bytes of a relay's information document."""
_KEY = re.compile("[0-9a-f]{64}")
_QUEUED = 32
"""Items of a subscription that may be queued before reading from the relay pauses."""
_REMEMBERED = 200
_REASON_COLUMNS = 300
"""Length to which the relay's texts for people are cut."""

Filters = Callable[[], Sequence[Mapping[str, Any]]]
"""Makes a subscription's filters; called for each connection."""


class Stored:
    """Marks the end of the stored events in a subscription; live ones follow."""


class Trouble:
    """A problem with a subscription, in the stream of its events.

    Attributes:
        text: a sentence for people.
    """

    def __init__(self, text: str) -> None:
        self.text = text


class NostrClient:
    """A connection to one relay.

    Args:
        url: ``ws://host:port/`` or ``wss://...``.
        key: our secret key, 32 bytes.
    """

    def __init__(self, url: str, key: bytes) -> None:
        self.pubkey = public_key(key)
        self.url = url
        """The relay's."""
        self._key = key
        self._socket: ClientConnection | None = None
        self._stack = contextlib.AsyncExitStack()
        self._challenge: str | None = None
        self._is_authenticated = False
        self._authenticating = asyncio.Lock()
        self._answers: dict[str, asyncio.Future[tuple[bool, str]]] = {}
        self._subscriptions: dict[str, tuple[Filters, asyncio.Queue[Any]]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._signed: deque[str] = deque(maxlen=_REMEMBERED)
        """Ids of the events that were published last."""
        self._versions: dict[int, int] = {}
        """``created_at`` of the last event of each replaceable kind."""
        self._early: deque[Trouble] = deque(maxlen=_QUEUED)
        """Problems from before the first subscription; the oldest are dropped."""
        self._resubscribing: dict[str, asyncio.Task[None]] = {}
        """The tasks that send subscriptions again."""

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except CONNECT_ERRORS as error:
            raise ConnectError(await websocket_failure(error, self.url, CHAT, _OPEN_SECONDS)) from error
        self._reader = asyncio.get_running_loop().create_task(self._run(), name="nostr client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._resubscribing.values(), *filter(None, [self._reader])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._stack.aclose()

    async def publish(self, kind: int, content: str = "", tags: Sequence[Sequence[str]] = ()) -> NostrEvent:
        """Sign an event and wait until the relay accepts it; authenticates if the relay requires that.

        Raises:
            EventRefusedError: the relay refused it; the message is the relay's text.
            ConnectError: there is no connection, it was lost before the answer, or the relay did not answer.
        """
        event = self._sign(kind, content, tags)
        accepted, text = await self._send_event("EVENT", event)
        if not accepted and text.startswith("auth-required:") and await self._authenticate():
            accepted, text = await self._send_event("EVENT", event)
        if not accepted:
            raise EventRefusedError(text or "error: the relay gave no reason")
        return event

    async def subscribe(self, name: str, filters: Filters) -> AsyncIterator[NostrEvent | Stored | Trouble]:
        """Yield the relay's stored and live events that match filters, with checked signatures.

        The subscription is sent again after a lost connection, so events may repeat; compare their ids.
        """
        queue: asyncio.Queue[Any] = asyncio.Queue(_QUEUED)
        self._subscriptions[name] = (filters, queue)
        with contextlib.suppress(ConnectError):  # The next connection sends it.
            await self._send(["REQ", name, *filters()])
        try:
            while self._early:
                yield self._early.popleft()
            while True:
                yield await queue.get()
        finally:
            del self._subscriptions[name]
            while not queue.empty():  # The reader may be waiting for space.
                queue.get_nowait()

    async def relay_key(self) -> str | None:
        """The relay's own public key, 64 hexadecimal digits, from its information document (NIP-11).

        None if the document does not have it, or does not arrive within a few seconds.
        """
        import aiohttp  # Imported here, because it is slow to import and the client needs it nowhere else.

        url = self.url.replace("ws", "http", 1)
        timeout = aiohttp.ClientTimeout(total=_OPEN_SECONDS)
        headers = {"Accept": "application/nostr+json", "Accept-Encoding": "identity"}
        session = aiohttp.ClientSession(timeout=timeout, headers=headers, trust_env=True, auto_decompress=False)
        try:
            async with session, session.get(url, allow_redirects=False) as response:
                text = bytearray()
                async for part in response.content.iter_any():
                    text += part
                    if len(text) > _MAX_INFORMATION:
                        return None
            members = parse_json(bytes(text))
        except (aiohttp.ClientError, OSError, ValueError, InvalidMessageError, EventRefusedError):
            return None
        key = members.get("self") if isinstance(members, dict) else None
        return key if isinstance(key, str) and _KEY.fullmatch(key) else None

    # --- the connection -------------------------------------------------------------------------------

    async def _open(self) -> None:
        await self._stack.aclose()
        self._challenge, self._is_authenticated = None, False
        context: Any = connect(
            self.url, open_timeout=_OPEN_SECONDS, close_timeout=_CLOSE_SECONDS, max_size=_MAX_MESSAGE
        )
        self._socket = await self._stack.enter_async_context(context)

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            socket = self._socket
            if socket is not None:
                reason = ""
                try:
                    async for message in socket:
                        pause = _FIRST_PAUSE
                        await self._receive(message if isinstance(message, bytes) else message.encode())
                except ConnectionClosed as error:
                    if error.rcvd is not None and error.rcvd.reason:
                        reason = f" ({fit(error.rcvd.reason, _REASON_COLUMNS)})"
                self._socket = None
                for answer in self._answers.values():
                    if not answer.done():
                        answer.set_exception(
                            ConnectError(f"the connection was lost before the relay confirmed it{reason}")
                        )
                await self._broadcast(Trouble(f"Connection lost{reason}. Reconnecting."))
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - spreads attempts, keeps no secret
            pause = min(2 * pause, _MAX_PAUSE)
            try:
                await self._open()
            except CONNECT_ERRORS:
                continue
            await self._broadcast(Trouble("Reconnected."))
            with contextlib.suppress(ConnectError):
                for name, (filters, _) in list(self._subscriptions.items()):
                    await self._send(["REQ", name, *filters()])

    async def _broadcast(self, trouble: Trouble) -> None:
        if not self._subscriptions:
            self._early.append(trouble)
        for _, queue in list(self._subscriptions.values()):
            await queue.put(trouble)

    async def _send(self, message: object) -> None:
        if self._socket is None:
            raise ConnectError("there is no connection to the relay")
        try:
            await self._socket.send(json.dumps(message, ensure_ascii=False))
        except ConnectionClosed as error:
            raise ConnectError("the connection to the relay is lost") from error

    async def _send_event(self, verb: str, event: NostrEvent) -> tuple[bool, str]:
        future: asyncio.Future[tuple[bool, str]] = asyncio.get_running_loop().create_future()
        self._answers[event.id] = future
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._send([verb, json.loads(event.text)])
                return await future
        except TimeoutError:
            raise ConnectError(f"the relay did not answer within {_ANSWER_SECONDS:g} s") from None
        finally:
            del self._answers[event.id]
            if not future.cancel() and not future.cancelled():
                future.exception()  # Retrieved, so that asyncio does not log it as unhandled.

    def _sign(self, kind: int, content: str, tags: Sequence[Sequence[str]]) -> NostrEvent:
        """Sign an event with a new id, even if the same content was signed within this second."""
        now, attempt = int(time.time()), 1
        if kind == EventKind.PROFILE or FIRST_REPLACEABLE <= kind < FIRST_EPHEMERAL:
            # Later than the last version: of two within the same second the relay keeps either.
            now = self._versions[kind] = max(now, self._versions.get(kind, 0) + 1)
        event = sign_event(self._key, now, kind, tags, content)
        while event.id in self._signed:
            attempt += 1
            event = sign_event(self._key, now, kind, [*tags, ["again", str(attempt)]], content)
        self._signed.append(event.id)
        return event

    async def _authenticate(self) -> bool:
        if self._challenge is None or self._is_authenticated:
            return False
        async with self._authenticating:
            if not self._is_authenticated:  # another task did not do it meanwhile
                tags = [["relay", self.url], ["challenge", self._challenge]]
                event = sign_event(self._key, int(time.time()), AUTHENTICATION, tags)
                self._is_authenticated, _ = await self._send_event("AUTH", event)
            return self._is_authenticated

    async def _receive(self, data: bytes) -> None:
        try:
            message = parse_json(data)
            match message:
                case ["EVENT", str(name), members] if name in self._subscriptions:
                    event = read_event(members)
                    event.check_proof()
                    await self._subscriptions[name][1].put(event)
                case ["EOSE", str(name)] if name in self._subscriptions:
                    await self._subscriptions[name][1].put(Stored())
                case ["OK", str(event_id), bool(accepted), *rest] if event_id in self._answers:
                    if not self._answers[event_id].done():
                        self._answers[event_id].set_result((accepted, str(fit(_text(rest), _REASON_COLUMNS))))
                case ["AUTH", str(challenge)]:
                    self._challenge, self._is_authenticated = challenge, False
                case ["NOTICE", *rest]:
                    await self._broadcast(Trouble(f"The relay says: {fit(_text(rest), _REASON_COLUMNS)}"))
                case ["CLOSED", str(name), *rest] if name in self._subscriptions:
                    await self._closed(name, str(fit(_text(rest), _REASON_COLUMNS)))
        except (EventRefusedError, InvalidMessageError):
            return  # Invalid messages of a relay are ignored.

    async def _closed(self, name: str, text: str) -> None:
        """Send a closed subscription again, after authenticating or a pause.

        This runs in a task of its own, because this one has to receive the answers.
        """
        if (task := self._resubscribing.get(name)) is not None and not task.done():
            return
        filters, queue = self._subscriptions[name]
        needs_proof = text.startswith("auth-required:") and not self._is_authenticated
        if not needs_proof:
            await queue.put(Trouble(f"The relay closed the subscription: {text}"))

        async def resubscribe() -> None:
            with contextlib.suppress(ConnectError, EventRefusedError):
                if not needs_proof:
                    await asyncio.sleep(_RESUBSCRIBE_SECONDS)
                elif not await self._authenticate():
                    await queue.put(Trouble(f"The relay does not accept our key: {text}"))
                    return
                await self._send(["REQ", name, *filters()])

        # A refusal is final; everything else may pass.
        if needs_proof or text.startswith(("error:", "rate-limited:")):
            self._resubscribing[name] = asyncio.get_running_loop().create_task(resubscribe(), name="nostr subscription")


def _text(rest: list[Any]) -> str:
    return rest[0] if rest and isinstance(rest[0], str) else ""
