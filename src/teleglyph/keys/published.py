"""Fetches keys that users publish at GitHub and GitLab, over verified HTTPS, with a cache for outages."""

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
    """The cache of fetched keys: ``teleglyph/keys`` in the user's cache directory (XDG)."""
    return directories.cache() / "teleglyph" / "keys"


def fetch_published(
    service: str,
    user: str,
    *,
    cache: Path | None = None,
    host: str | None = None,
    context: ssl.SSLContext | None = None,
) -> str:
    """A user's keys, one per line.

    Args:
        service: ``github`` or ``gitlab``.
        user: the user's name there.
        cache: directory of the cached keys; the user's cache by default.
        host: the service's host, if not the default one.
        context: the trusted authorities; the system's by default.

    Raises:
        ConfigurationError: the user's name is invalid.
        KeyFetchError: the service did not answer with keys, and there are no cached ones.
    """
    if not _USER.fullmatch(user):
        raise ConfigurationError(
            f"'{service}:{user}' is not a valid user name. Use only letters, digits, '.', '_' and '-'."
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
                f"Cannot fetch the keys of {service}:{user} from {host} ({error}), and there is no cached copy."
            ) from error
        _log.warning("Fetching keys from %s failed (%s); used the cached keys of %s", host, error, user)
        return text
    _store(copy, text)
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


def _store(copy: Path, text: str) -> None:
    try:
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = copy.with_name(copy.name + ".new")
        temporary.write_text(text)
        temporary.replace(copy)
    except OSError as error:
        _log.warning("Caching the keys in %s failed: %s", copy, error)
