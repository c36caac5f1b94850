"""A small Nostr client: publishes and subscribes at one relay, comes back by itself, proves who it is when asked to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from teleglyph.errors import ConnectFailed, EventRefused, MessageRefused
from teleglyph.wire.nostr import AUTHENTICATION, NostrEvent, load, read_event, sign_event
from teleglyph.wire.nostr_keys import public_key

_OPEN_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
_MAX_MESSAGE = 1 << 20


class Stored:
    """Stands in the stream of a subscription's events where the stored ones end and the live ones begin."""


class Trouble:
    """Stands in the stream when something happened that people should know.

    Attributes:
        text: what.
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
        self._url = url
        self._key = key
        self._socket: ClientConnection | None = None
        self._stack = contextlib.AsyncExitStack()
        self._challenge: str | None = None
        self._is_authenticated = False
        self._answers: dict[str, asyncio.Future[tuple[bool, str]]] = {}
        self._subscriptions: dict[str, tuple[list[Mapping[str, Any]], asyncio.Queue[Any]]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._open()
        self._reader = asyncio.get_running_loop().create_task(self._run(), name="nostr client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        await self._stack.aclose()

    async def publish(self, kind: int, content: str = "", tags: Sequence[Sequence[str]] = ()) -> NostrEvent:
        """Sign an event and have the relay take it; who has to authenticate for that does.

        Raises:
            EventRefused: the relay does not want it; the message is its text.
            ConnectFailed: there is no connection now, or no answer.
        """
        event = sign_event(self._key, int(time.time()), kind, tags, content)
        accepted, text = await self._send_event("EVENT", event)
        if not accepted and text.startswith("auth-required:") and await self._authenticate():
            accepted, text = await self._send_event("EVENT", event)
        if not accepted:
            raise EventRefused(text)
        return event

    async def subscribe(self, name: str, *filters: Mapping[str, Any]) -> AsyncIterator[NostrEvent | Stored | Trouble]:
        """What the relay has and gets for some filters: events whose signatures were checked, and marks among them.

        After a lost connection the relay is asked again, so events may come twice; their ids tell.
        """
        queue: asyncio.Queue[Any] = asyncio.Queue(10_000)
        self._subscriptions[name] = (list(filters), queue)
        await self._send(["REQ", name, *filters])
        try:
            while True:
                yield await queue.get()
        finally:
            del self._subscriptions[name]

    # --- the connection -------------------------------------------------------------------------------

    async def _open(self) -> None:
        await self._stack.aclose()
        self._challenge, self._is_authenticated = None, False
        try:
            context: Any = connect(self._url, open_timeout=_OPEN_SECONDS, max_size=_MAX_MESSAGE)
            self._socket = await self._stack.enter_async_context(context)
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
            raise ConnectFailed(f"The relay at {self._url} cannot be reached: {str(error) or 'no answer'}") from error

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            socket = self._socket
            if socket is not None:
                with contextlib.suppress(ConnectionClosed):
                    async for message in socket:
                        pause = _FIRST_PAUSE
                        await self._receive(message if isinstance(message, bytes) else message.encode())
                self._socket = None
                self._tell_all(Trouble("The connection is lost, trying again"))
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - spreads attempts, keeps no secret
            pause = min(2 * pause, _LONGEST_PAUSE)
            with contextlib.suppress(ConnectFailed):
                await self._open()
                self._tell_all(Trouble("The connection is there again"))
                for name, (filters, _) in list(self._subscriptions.items()):
                    await self._send(["REQ", name, *filters])

    def _tell_all(self, trouble: Trouble) -> None:
        for _, queue in self._subscriptions.values():
            _put(queue, trouble)

    async def _send(self, message: object) -> None:
        if self._socket is None:
            raise ConnectFailed("There is no connection to the relay now")
        try:
            await self._socket.send(json.dumps(message, ensure_ascii=False))
        except ConnectionClosed as error:
            raise ConnectFailed("The connection to the relay is lost") from error

    async def _send_event(self, verb: str, event: NostrEvent) -> tuple[bool, str]:
        future: asyncio.Future[tuple[bool, str]] = asyncio.get_running_loop().create_future()
        self._answers[event.id] = future
        try:
            await self._send([verb, json.loads(event.text)])
            return await asyncio.wait_for(future, _ANSWER_SECONDS)
        except TimeoutError:
            raise ConnectFailed("The relay does not answer") from None
        finally:
            del self._answers[event.id]

    async def _authenticate(self) -> bool:
        if self._challenge is None or self._is_authenticated:
            return False
        tags = [["relay", self._url], ["challenge", self._challenge]]
        event = sign_event(self._key, int(time.time()), AUTHENTICATION, tags)
        self._is_authenticated, _ = await self._send_event("AUTH", event)
        return self._is_authenticated

    async def _receive(self, data: bytes) -> None:
        try:
            message = load(data)
            match message:
                case ["EVENT", str(name), members] if name in self._subscriptions:
                    event = read_event(members)
                    event.check_proof()
                    _put(self._subscriptions[name][1], event)
                case ["EOSE", str(name)] if name in self._subscriptions:
                    _put(self._subscriptions[name][1], Stored())
                case ["OK", str(number), bool(accepted), *rest] if number in self._answers:
                    if not self._answers[number].done():
                        self._answers[number].set_result((accepted, str(rest[0]) if rest else ""))
                case ["AUTH", str(challenge)]:
                    self._challenge, self._is_authenticated = challenge, False
                case ["CLOSED", str(name), *rest] if name in self._subscriptions:
                    await self._closed(name, str(rest[0]) if rest else "")
        except (EventRefused, MessageRefused):
            return  # A relay that tells us nonsense is not believed.

    async def _closed(self, name: str, text: str) -> None:
        filters, queue = self._subscriptions[name]
        if not text.startswith("auth-required:") or self._is_authenticated:
            _put(queue, Trouble(f"The relay ended the subscription: {text}"))
            return

        async def again() -> None:
            with contextlib.suppress(ConnectFailed):
                if await self._authenticate():
                    await self._send(["REQ", name, *filters])
                else:
                    _put(queue, Trouble(f"The relay wants to know who we are: {text}"))

        # Not here: the answer comes to this very task.
        self._again = asyncio.get_running_loop().create_task(again())


def _put(queue: asyncio.Queue[Any], item: object) -> None:
    with contextlib.suppress(asyncio.QueueFull):
        queue.put_nowait(item)
