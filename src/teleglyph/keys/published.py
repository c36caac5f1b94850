"""Keys that people publish at GitHub and GitLab, over verified HTTPS, with a copy for when the service is away."""

from __future__ import annotations

import http.client
import logging
import re
import ssl
from pathlib import Path

from teleglyph import directories
from teleglyph.errors import ConfigurationError, KeyFetchError

_log = logging.getLogger(__name__)

HOSTS = {"github": "github.com", "gitlab": "gitlab.com"}
_USER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?")
_SECONDS = 10.0
_MAX_ANSWER = 64 << 10


def cache_directory() -> Path:
    """Where copies are kept: ``teleglyph/keys`` in the user's cache directory (XDG)."""
    return directories.cache() / "teleglyph" / "keys"


def fetch_published(
    service: str,
    user: str,
    *,
    cache: Path | None = None,
    host: str | None = None,
    context: ssl.SSLContext | None = None,
) -> str:
    """A user's keys, a line each.

    Args:
        service: ``github`` or ``gitlab``.
        user: the name there.
        cache: directory of the copies; the user's cache by default.
        host: where the service is, if not at its own address.
        context: whom to trust; the system's authorities by default.

    Raises:
        ConfigurationError: that is no user's name.
        KeyFetchError: the service did not answer with keys, and there is no copy.
    """
    if not _USER.fullmatch(user):
        raise ConfigurationError(
            f"'{service}:{user}' does not name a user: only letters, digits, '.', '_' and '-' are possible."
        )
    copy = (cache or cache_directory()) / f"{service}-{user.lower()}"
    host = host or HOSTS[service]
    try:
        text = _download(host, user, context or ssl.create_default_context())
    except KeyFetchError:
        raise
    except (OSError, http.client.HTTPException) as error:
        try:
            text = copy.read_text()
        except OSError:
            raise KeyFetchError(
                f"Cannot fetch the keys of {service}:{user} from {host} ({error}), and there is no copy from before."
            ) from error
        _log.warning("%s did not answer (%s): using the keys of %s that were fetched last", host, error, user)
        return text
    _keep(copy, text)
    return text


def _download(host: str, user: str, context: ssl.SSLContext) -> str:
    name, _, port = host.partition(":")
    connection = http.client.HTTPSConnection(name, int(port) if port else 443, timeout=_SECONDS, context=context)
    try:
        connection.request("GET", f"/{user}.keys", headers={"User-Agent": "teleglyph", "Accept": "text/plain"})
        answer = connection.getresponse()
        if answer.status == http.client.NOT_FOUND:
            raise KeyFetchError(f"{name} does not know the user '{user}'.")
        if answer.status != http.client.OK:
            raise http.client.HTTPException(f"status {answer.status}")
        data = answer.read(_MAX_ANSWER + 1)
    finally:
        connection.close()
    if len(data) > _MAX_ANSWER:
        raise KeyFetchError(f"{name} answered with more than {_MAX_ANSWER >> 10} KiB for '{user}'.")
    return data.decode("utf-8", "replace")


def _keep(copy: Path, text: str) -> None:
    try:
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = copy.with_name(copy.name + ".new")
        temporary.write_text(text)
        temporary.replace(copy)
    except OSError as error:
        _log.warning("Cannot keep a copy of %s: %s", copy.name, error)
