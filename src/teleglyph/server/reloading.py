"""Reloads parts of the configuration while the server runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from teleglyph.errors import TeleglyphError
from teleglyph.keys import KeyList
from teleglyph.rooms.relay import Relay
from teleglyph.rooms.room import GameRules
from teleglyph.server.call_rooms import CallRooms
from teleglyph.server.config import ServerConfig

_log = logging.getLogger(__name__)


class Reloader:
    """Reloads client keys, configured call rooms, games and the certificate.

    Args:
        config: says which of them there are.
        call_rooms: gets the call rooms.
        relay: gets the games.
        reload_tls: reloads the certificate; called in a thread.
    """

    def __init__(
        self, config: ServerConfig, call_rooms: CallRooms, relay: Relay, reload_tls: Callable[[], None]
    ) -> None:
        self._config = config
        self._call_rooms = call_rooms
        self._relay = relay
        self._reload_tls = reload_tls

    async def run(self) -> list[str]:
        """Reload all parts, and log the results.

        Each part is replaced whole or, if it cannot be read, not at all.

        Returns:
            the problems: what was not reloaded, and why.
        """
        config, problems = self._config, list[str]()
        if config.client_keys is not None:
            await self._reload("client keys were", self._reload_keys(config.client_keys), problems)
        if config.read_call_rooms is not None:
            await self._reload("call rooms were", self._reload_call_rooms(), problems)
        if config.read_games is not None:
            await self._reload("games were", self._reload_games(config.read_games), problems)
        if config.tls is not None:
            await self._reload("certificate was", self._reload_certificate(), problems)
        if all(part is None for part in (config.client_keys, config.read_call_rooms, config.read_games, config.tls)):
            _log.info("Nothing to reload: there is no --client-keys, no --tls-cert and no file of games or call rooms")
        return problems

    @staticmethod
    async def _reload(part: str, work: Awaitable[str], problems: list[str]) -> None:
        """Await the description of a reloaded part, and log it or the problem."""
        try:
            result = await work
        except TeleglyphError as error:
            problems.append(f"The {part} not reloaded: {error}")
            _log.error("%s", problems[-1])
        else:
            _log.info("Reloaded the %s", result)

    async def _reload_keys(self, keys: KeyList) -> str:
        await asyncio.to_thread(keys.reload)
        return f"client keys: count={len(keys)}"

    async def _reload_call_rooms(self) -> str:
        return f"call rooms: count={await self._call_rooms.reload()}"

    async def _reload_games(self, read: Callable[[], tuple[GameRules, ...]]) -> str:
        games = await asyncio.to_thread(read)
        self._relay.set_games(games)
        return f"games: {', '.join(game.name for game in games) or 'none'}"

    async def _reload_certificate(self) -> str:
        await asyncio.to_thread(self._reload_tls)
        return "certificate"
