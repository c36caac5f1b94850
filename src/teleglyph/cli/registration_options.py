"""The server's options for being found by a name."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import click

from teleglyph.cli.option_groups import option
from teleglyph.cli.option_types import discovery_key_option
from teleglyph.client.link import parse_service
from teleglyph.discovery.names import is_name
from teleglyph.discovery.service_trust import ServiceTrust
from teleglyph.errors import UserError
from teleglyph.net import authority
from teleglyph.server.by_name_settings import DiscoverySettings

_log = logging.getLogger(__name__)


def _check_name(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_name(value):
        raise click.BadParameter(f"'{value}' is not a name. Write three words with '-', as in brave-otter-lamp.")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationOptions:
    """How people find the server by three words, and reach it through NAT."""

    discovery: str | None = option(
        "--discovery",
        table="network",
        metavar="HOST",
        help="Register at this discovery service, which gives the server a name of three words. Friends then join with "
        "'teleglyph client NAME@HOST'. The server listens on all addresses, unless you name some.",
    )
    discovery_name: str | None = option(
        "--discovery-name",
        table="network",
        metavar="NAME",
        callback=_check_name,
        help="The name to ask for.  [default: the one that this server had before, or a new one]",
    )
    discovery_key: str | None = discovery_key_option()
    discovery_expose_ip: bool = option(
        "--discovery-expose-ip",
        table="security",
        is_flag=True,
        help="Show this server's address to everybody who knows or guesses its name. Without it, people first have to "
        "prove the password, a listed key or an invitation.",
    )
    port_mapping: bool = option(
        "--port-mapping/--no-port-mapping",
        table="network",
        default=True,
        show_default=True,
        help="With --discovery: ask the router to forward the port, by UPnP, PCP or NAT-PMP.",
    )

    def check(self, *, is_protected: bool, has_identity: bool) -> None:
        """Check that these options fit the others.

        Args:
            is_protected: at least one room needs a password or a key.
            has_identity: the server proves a key.

        Raises:
            click.UsageError: they contradict each other.
        """
        if self.discovery is None:
            for value, flag in (
                (self.discovery_name, "--discovery-name"),
                (self.discovery_key, "--discovery-key"),
                (self.discovery_expose_ip, "--discovery-expose-ip"),
            ):
                if value:
                    raise click.UsageError(f"{flag} needs --discovery HOST.")
            return
        if not has_identity:
            raise click.UsageError(
                "--discovery needs an identity, which --ephemeral and --no-encrypt servers do not have. Add --key FILE."
            )
        if not is_protected and not self.discovery_expose_ip:
            raise click.UsageError(
                "--discovery would let anyone who guesses the name learn this server's address. Set "
                "TELEGLYPH_PASSWORD, use --client-keys, or accept that with --discovery-expose-ip."
            )

    def settings(self) -> DiscoverySettings | None:
        """The settings of the server; None without ``--discovery``.

        Raises:
            UserError: the service or its key cannot be read.
        """
        if self.discovery is None:
            return None
        try:
            service = parse_service(self.discovery)
        except UserError as error:
            raise click.UsageError(str(error)) from None
        trust = ServiceTrust.of_user(authority(*service), self.discovery_key, lambda text: _log.info("%s", text))
        return DiscoverySettings(
            host=service.host,
            port=service.port,
            check_service=trust.check,
            name=self.discovery_name or "",
            exposes_address=self.discovery_expose_ip,
            maps_port=self.port_mapping,
        )
