"""The server's names: from its configuration, its certificate, and the address a connection reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509

from teleglyph.errors import ConfigurationError
from teleglyph.net import OwnName, OwnNames
from teleglyph.net.addresses import numeric
from teleglyph.net.own_names import plain_host, read_relay_url

if TYPE_CHECKING:
    from teleglyph.net.forwarding import Client
    from teleglyph.server.http_config import HttpConfig

_LOOPBACK = (OwnName("localhost"), OwnName("127.0.0.1"), OwnName("::1"))


class KnownNames:
    """The names of a server; each connection has some of them.

    Args:
        config: has the certificate, the announced address, and URLs.

    Raises:
        ConfigurationError: the certificate cannot be read.
    """

    def __init__(self, config: HttpConfig) -> None:
        self._config = config
        self._fixed: tuple[OwnName, ...] = ()
        self.reload()

    def reload(self) -> None:
        """Reload the certificate's names.

        Raises:
            ConfigurationError: it cannot be read; the names do not change.
        """
        config = self._config
        names = list(config.relay_urls)
        if config.announce is not None and (announced := read_relay_url(config.announce)) is not None:
            # Only the host: the announced port is for calls.
            names.append(OwnName(announced.host))
        if config.tls is not None:
            names += names_of_certificate(config.tls[0])
        self._fixed = tuple(names)

    def of(self, client: Client, local_address: str, asked: str) -> OwnNames:
        """The server's names on a connection.

        Args:
            client: that sent a request.
            local_address: numeric address of our end of the connection.
            asked: the request's ``Host`` header.
        """
        names = list(self._fixed)
        if client.is_local:
            names += _LOOPBACK
        # Clients of a proxy do not know the address that the proxy connects to.
        if client.is_direct and (address := numeric(local_address)) is not None:
            names.append(OwnName(address))
        return OwnNames(tuple(dict.fromkeys(names)), asked)


def names_for_links(config: HttpConfig) -> list[str]:
    """The names by which others may reach the server: those of its certificate, then the announced one.

    Raises:
        ConfigurationError: the certificate cannot be read.
    """
    names = [] if config.tls is None else [name.host for name in names_of_certificate(config.tls[0])]
    if config.announce is not None and (announced := read_relay_url(config.announce)) is not None:
        names.append(announced.host)
    return [name for name in names if not name.startswith("*.")]


def names_of_certificate(path: Path) -> list[OwnName]:
    """The host names and addresses that the first certificate of a PEM file is for.

    Raises:
        ConfigurationError: the file has no readable certificate.
    """
    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
        found: Any = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    except (OSError, ValueError, IndexError) as error:
        raise ConfigurationError(f"The certificate '{path}' cannot be read: it is not PEM, or damaged.") from error
    names = []
    for text in [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]:
        wildcard = "*." if text.startswith("*.") else ""
        if (host := plain_host(text.removeprefix("*."))) is not None:
            names.append(OwnName(wildcard + host))
    return names
