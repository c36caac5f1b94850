"""A small Nostr client: publishes and subscribes at one relay, reconnects by itself, authenticates when it has to."""

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
from teleglyph.net.websocket_failure import CHAT, CONNECT_ERRORS, websocket_failure
from teleglyph.printable import fit
from teleglyph.wire.nostr.event import AUTHENTICATION, NostrEvent, parse_json, read_event, sign_event
from teleglyph.wire.nostr.keys import public_key

_OPEN_SECONDS = 5.0
_CLOSE_SECONDS = 1.0
_ANSWER_SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
_ASK_AGAIN_SECONDS = 5.0
"""After a relay ended a subscription."""
_MAX_MESSAGE = 1 << 20
_MAX_INFORMATION = 64 << 10
"""Bytes of a relay's information document."""
_KEY = re.compile("[0-9a-f]{64}")
_QUEUED = 32
"""Items of a subscription that may wait; then nothing more is read from the relay."""
_REMEMBERED = 200
_REASON_COLUMNS = 300
"""What is kept of a text of the relay's for people."""

Filters = Callable[[], Sequence[Mapping[str, Any]]]
"""Makes a subscription's filters; called for each connection."""


class Stored:
    """In the stream of a subscription's events: the stored ones end here, the live ones begin."""


class Trouble:
    """In the stream of a subscription's events: something that people should know.

    Attributes:
        text: what, as a sentence.
    """

    def __init__(self, text: str) -> None:
        self.text = text


class NostrClient:
    """One relay.

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
        """Ids of what was published last."""
        self._versions: dict[int, int] = {}
        """When the last event was made, by kind, of the kinds of which a relay keeps the newest only."""
        self._early: deque[Trouble] = deque(maxlen=_QUEUED)
        """What nobody was there to hear; the oldest goes when there is more."""
        self._asking: dict[str, asyncio.Task[None]] = {}
        """By subscription: what asks the relay again."""

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
        tasks = [*self._asking.values(), *filter(None, [self._reader])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._stack.aclose()

    async def publish(self, kind: int, content: str = "", tags: Sequence[Sequence[str]] = ()) -> NostrEvent:
        """Sign an event and wait until the relay has accepted it; authenticates if the relay asks for that.

        Raises:
            EventRefusedError: the relay does not want it; the message is the relay's text.
            ConnectError: there is no connection, it was lost before the relay answered, or the relay is silent.
        """
        event = self._sign(kind, content, tags)
        accepted, text = await self._send_event("EVENT", event)
        if not accepted and text.startswith("auth-required:") and await self._authenticate():
            accepted, text = await self._send_event("EVENT", event)
        if not accepted:
            raise EventRefusedError(text or "error: the relay gave no reason")
        return event

    async def subscribe(self, name: str, filters: Filters) -> AsyncIterator[NostrEvent | Stored | Trouble]:
        """What the relay has and gets for some filters: events whose signatures were checked, and marks among them.

        After a lost connection the relay is asked again, so events may come twice; their ids tell.
        """
        queue: asyncio.Queue[Any] = asyncio.Queue(_QUEUED)
        self._subscriptions[name] = (filters, queue)
        with contextlib.suppress(ConnectError):  # Then it is sent with the next connection.
            await self._send(["REQ", name, *filters()])
        try:
            while self._early:
                yield self._early.popleft()
            while True:
                yield await queue.get()
        finally:
            del self._subscriptions[name]
            while not queue.empty():  # The reader may wait for a free place.
                queue.get_nowait()

    async def relay_key(self) -> str | None:
        """The relay's own public key, 64 hexadecimal digits, from its information document (NIP-11).

        None if the document does not tell it, or if there is none within a few seconds.
        """
        import aiohttp  # Only here: it is slow to import, and nothing else of a client needs it.

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
                await self._tell_all(Trouble(f"The connection is lost{reason}. Trying again."))
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - spreads attempts, keeps no secret
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                await self._open()
            except CONNECT_ERRORS:
                continue
            await self._tell_all(Trouble("The connection is back."))
            with contextlib.suppress(ConnectError):
                for name, (filters, _) in list(self._subscriptions.items()):
                    await self._send(["REQ", name, *filters()])

    async def _tell_all(self, trouble: Trouble) -> None:
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
                future.exception()  # Nobody waits for it any more, and nobody has to hear of it.

    def _sign(self, kind: int, content: str, tags: Sequence[Sequence[str]]) -> NostrEvent:
        """A new event, also for something that was said within the same second before."""
        now, number = int(time.time()), 1
        if kind == 0 or 10_000 <= kind < 20_000:
            # A newer version of an event of one kind; of two within a second the relay keeps any.
            now = self._versions[kind] = max(now, self._versions.get(kind, 0) + 1)
        event = sign_event(self._key, now, kind, tags, content)
        while event.id in self._signed:
            number += 1
            event = sign_event(self._key, now, kind, [*tags, ["again", str(number)]], content)
        self._signed.append(event.id)
        return event

    async def _authenticate(self) -> bool:
        if self._challenge is None or self._is_authenticated:
            return False
        async with self._authenticating:
            if not self._is_authenticated:  # by somebody else who waited for it
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
                case ["OK", str(number), bool(accepted), *rest] if number in self._answers:
                    if not self._answers[number].done():
                        self._answers[number].set_result((accepted, str(fit(_text(rest), _REASON_COLUMNS))))
                case ["AUTH", str(challenge)]:
                    self._challenge, self._is_authenticated = challenge, False
                case ["NOTICE", *rest]:
                    await self._tell_all(Trouble(f"The relay says: {fit(_text(rest), _REASON_COLUMNS)}"))
                case ["CLOSED", str(name), *rest] if name in self._subscriptions:
                    await self._closed(name, str(fit(_text(rest), _REASON_COLUMNS)))
        except (EventRefusedError, InvalidMessageError):
            return  # A relay that sends nonsense is not believed.

    async def _closed(self, name: str, text: str) -> None:
        """Ask again, after a proof of who we are or after a pause; not here, for the answers come to this very task."""
        if (asking := self._asking.get(name)) is not None and not asking.done():
            return
        filters, queue = self._subscriptions[name]
        needs_proof = text.startswith("auth-required:") and not self._is_authenticated
        if not needs_proof:
            await queue.put(Trouble(f"The relay ended the subscription: {text}"))

        async def ask() -> None:
            with contextlib.suppress(ConnectError, EventRefusedError):
                if not needs_proof:
                    await asyncio.sleep(_ASK_AGAIN_SECONDS)
                elif not await self._authenticate():
                    await queue.put(Trouble(f"The relay does not accept our key: {text}"))
                    return
                await self._send(["REQ", name, *filters()])

        # A refusal is final; everything else may pass.
        if needs_proof or text.startswith(("error:", "rate-limited:")):
            self._asking[name] = asyncio.get_running_loop().create_task(ask(), name="nostr subscription")


def _text(rest: list[Any]) -> str:
    return rest[0] if rest and isinstance(rest[0], str) else ""
