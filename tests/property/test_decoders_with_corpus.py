"""Every decoder of foreign data, fed with damaged examples: it gives a result or a clean error, nothing else.

The examples are in ``tests/corpus``, one directory per decoder.  ``HYPOTHESIS_PROFILE=long`` makes a long run.
"""

from __future__ import annotations

import ipaddress
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleglyph.cli.config_file import COMMANDS, Configuration
from teleglyph.cli.main import cli
from teleglyph.errors import ConfigurationError, KeyFetchError, KeyFileError, PeerError, ProxyHeaderError
from teleglyph.keys import load_identity
from teleglyph.keys.known_hosts import parse_entries
from teleglyph.keys.public import parse_line, parse_public_keys
from teleglyph.wire.acip import ClientSession, HandshakeDone, ServerSession, Session, SessionState
from teleglyph.wire.proxy_protocol import HEADER_SIZE, MAX_HEADER, header_length, parse_header
from unit.wire.examples import IDENTITY, OTHER_IDENTITY, PASSWORD_KEY

CORPUS = Path(__file__).parents[1] / "corpus"
PLACE = Path(tempfile.mkdtemp(prefix="teleglyph-corpus"))


def private_key(data: bytes) -> None:
    path = PLACE / "key"
    path.write_bytes(data)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    try:
        assert len(load_identity(str(path)).public_key) == 32
    except KeyFileError as error:
        assert str(error).isprintable(), "the contents of a file never reach the terminal"


def key_list(data: bytes) -> None:
    def fetch(_service: str, _user: str) -> str:
        return data.decode("utf-8", "replace")

    text = data.decode("utf-8", "replace")
    for line in text.splitlines():
        try:
            assert len(parse_line(line)) == 32
        except ValueError as error:
            assert str(error).isprintable()
    try:
        assert all(len(key) == 32 for key in parse_public_keys("github:ann", fetch))
    except (ConfigurationError, KeyFetchError):
        return


def known_hosts(data: bytes) -> None:
    for entry in parse_entries(data.decode("utf-8", "replace").splitlines(), Path("file")):
        assert entry.identity is None or len(entry.identity) == 32
        assert entry.name.isprintable()
        assert len(entry.name) <= 270


def config(data: bytes) -> None:
    path = PLACE / "config.toml"
    path.write_bytes(data)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    configuration = Configuration(cli)
    try:
        settings = list(configuration.read(path))
    except ConfigurationError:
        return
    configuration.default_map({setting.name: setting for setting in settings}, COMMANDS)


def _handshake(session: Session, data: bytes) -> None:
    session.receive_data(data)
    try:
        while (event := session.next_event()) is not None:
            assert not isinstance(event, HandshakeDone), "a recording cannot answer a fresh challenge"
    except PeerError as error:
        assert session.state is SessionState.FAILED
        assert str(error)


def to_server(data: bytes) -> None:
    _handshake(
        ServerSession(
            password_key=PASSWORD_KEY, identities=[IDENTITY, OTHER_IDENTITY], admits=IDENTITY.public_key.__eq__
        ),
        data,
    )
    _handshake(ServerSession(admits=IDENTITY.public_key.__eq__), data)


def to_client(data: bytes) -> None:
    _handshake(ClientSession(password_key=PASSWORD_KEY, client_key=IDENTITY, hello=IDENTITY.public_key), data)


def proxy_header(data: bytes) -> None:
    try:
        size = header_length(data)
    except ProxyHeaderError as error:
        assert str(error).isprintable()
        with pytest.raises(ProxyHeaderError):
            parse_header(data)
        return
    assert HEADER_SIZE <= size <= MAX_HEADER
    try:
        client = parse_header(data)
    except ProxyHeaderError as error:
        assert str(error).isprintable()
        return
    assert len(data) >= size
    if client is not None:
        assert str(ipaddress.ip_address(client.address)) == client.address
        assert 0 <= client.port <= 65535


DECODERS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (private_key, key_list, known_hosts, config, to_server, to_client, proxy_header)
}
SEEDS = {name: [path.read_bytes() for path in sorted((CORPUS / name).iterdir())] for name in DECODERS}
_NUMBERS = st.sampled_from([0, 1, 2, 31, 33, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF])


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """An example with a few faults: flipped bits; pieces removed, doubled or taken from another; replaced lengths."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        end = min(len(data), place + draw(st.integers(0, 64)))
        match draw(st.integers(0, 5)):
            case 0 if place < len(data):
                data[place] ^= 1 << draw(st.integers(0, 7))
            case 1:
                del data[place:end]
            case 2:
                data[place:place] = data[place:end] * draw(st.integers(1, 20))
            case 3:
                data[place:end] = draw(st.sampled_from(seeds))[place:end]
            case 4:
                data[place : place + 4] = draw(_NUMBERS).to_bytes(4, "big")
            case _:
                data[place:end] = draw(st.binary(max_size=40))
    return bytes(data)


@pytest.mark.parametrize("name", DECODERS)
def test_undamaged_examples_are_accepted(name: str) -> None:
    for seed in SEEDS[name]:
        DECODERS[name](seed)


@pytest.mark.parametrize("name", DECODERS)
def test_damaged_examples_give_a_result_or_a_clean_error(name: str) -> None:
    @given(damaged(SEEDS[name]))
    def check(data: bytes) -> None:
        DECODERS[name](data)

    check()


@pytest.mark.parametrize("name", DECODERS)
def test_random_bytes_give_a_result_or_a_clean_error(name: str) -> None:
    @given(st.binary(max_size=400))
    def check(data: bytes) -> None:
        DECODERS[name](data)

    check()
