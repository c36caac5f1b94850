"""The server's options for its HTTP port."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

import click

from teleglyph.cli.option_groups import option
from teleglyph.net import OwnName
from teleglyph.net.forwarding import Network
from teleglyph.net.own_names import read_relay_url

_MIN_TOKEN = 16
"""Characters of an administrator's token."""


def _parse_relay_urls(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[OwnName, ...]:
    names = []
    for value in values:
        name = read_relay_url(value)
        if name is None:
            raise click.BadParameter(
                f"'{value}' is not a URL of this server. Write wss://HOST, wss://HOST:PORT, or the same with ws://."
            )
        names.append(name)
    return tuple(names)


def _parse_networks(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[Network, ...]:
    networks: list[Network] = []
    for value in values:
        try:
            network = ipaddress.ip_network(value.strip("[]"), strict=False)
        except ValueError:
            raise click.BadParameter(
                f"'{value}' is not an address or a network. Write for example 127.0.0.1, 10.0.0.0/8 or fd00::/8."
            ) from None
        if network.prefixlen == 0:
            raise click.BadParameter(f"'{value}' includes everyone, so anyone could claim any address.")
        networks.append(network)
    return tuple(networks)


def _check_admin_token(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and len(value) < _MIN_TOKEN:
        raise click.BadParameter(f"the token is too short; it needs at least {_MIN_TOKEN} characters.")
    return value


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TlsOptions:
    """How a port is reached and protected."""

    tls_cert: Path | None = option(
        "--tls-cert",
        table="network",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Serve HTTP and WebSockets over TLS with this PEM file: the certificate and its intermediates. SIGHUP "
        "reloads it.",
    )
    tls_key: Path | None = option(
        "--tls-key",
        table="network",
        type=click.Path(dir_okay=False, path_type=Path),
        help="PEM file with the certificate's private key, without a pass phrase.  [default: the --tls-cert file]",
    )
    trusted_proxies: tuple[Network, ...] = option(
        "--trusted-proxy",
        table="network",
        multiple=True,
        metavar="CIDR",
        callback=_parse_networks,
        help="Address or network of a proxy in front of this server. Its Forwarded or X-Forwarded-For header, or for "
        "calls its PROXY protocol header (version 2), gives the client's address. May be repeated.",
    )
    admin_token: str | None = option(
        "--admin-token",
        table="security",
        callback=_check_admin_token,
        help="Token that lets remote clients read /statistics and /metrics, and reload with POST /reload; at least "
        "16 characters.",
    )

    def check(self) -> None:
        """Check that these options fit together.

        Raises:
            click.UsageError: there is a key without its certificate.
        """
        if self.tls_key is not None and self.tls_cert is None:
            raise click.UsageError("--tls-key needs a certificate. Add --tls-cert.")

    @property
    def tls(self) -> tuple[Path, Path | None] | None:
        """The certificate and its key, if any."""
        return None if self.tls_cert is None else (self.tls_cert, self.tls_key)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HttpOptions(TlsOptions):
    """How the HTTP port is reached and protected."""

    relay_urls: tuple[OwnName, ...] = option(
        "--relay-url",
        table="network",
        multiple=True,
        metavar="URL",
        callback=_parse_relay_urls,
        help="URL that clients use to reach this server, such as wss://relay.example.org. Clients that authenticate "
        "to the Nostr relay or prove an identity in a room must have connected to one of these. The certificate's "
        "names, the --announce address and the server's numeric address also count. May be repeated.",
    )
