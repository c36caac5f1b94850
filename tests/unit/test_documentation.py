"""The documentation is right about the code: citations, links, packet numbers, layouts, limits and examples."""

from __future__ import annotations

import dataclasses
import importlib
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from teleglyph.errors import ProtocolError
from teleglyph.events.limits import EventLimits
from teleglyph.keys import FileIdentity
from teleglyph.media.grid import DEFAULT_COLOR, Grid, apply_update, direct_color
from teleglyph.rooms import end_texts, relay, service
from teleglyph.wire import acip, discovery, invitation
from teleglyph.wire.acip import cipher, messages, packet, primitives
from teleglyph.wire.acip.messages import audio, capabilities, control, handshake, screen, text, video
from teleglyph.wire.acip.packet_type import PacketType
from teleglyph.wire.discovery import messages as discovery_messages
from teleglyph.wire.discovery.layout import Layout
from teleglyph.wire.link2 import messages as link_messages
from teleglyph.wire.rendezvous import JoinerKind, SealedHost, SealedJoiner
from teleglyph.wire.rooms import extended
from teleglyph.wire.rooms import messages as room_messages

ROOT = Path(__file__).parents[2]
PROTOCOL = ROOT / "docs" / "protocol"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SOURCES = sorted(
    path
    for folder in ("src", "tests", "bench", "scripts")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".mjs", ".cpp", ".hpp", ".html", ".js") and "node_modules" not in path.parts
)
CITATION = re.compile(r"docs/[\w/.-]+\.md(?:#[\w-]+)?")
LOST_CITATION = re.compile(r"\bspec (?:acip|rooms|event|\d)|\bmedia\.md\b")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]*)\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
EXAMPLE = re.compile(r"^```python\n(?P<source>[^`]+?)\n```\n```hex\n(?P<bytes>[^`]*?)```$", re.MULTILINE)
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20}
WIDTHS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
NO_PAYLOAD_CHECK = {"any"}


class Table(NamedTuple):
    """A table of a page, and the heading above it."""

    heading: str
    columns: list[str]
    rows: list[list[str]]


# --- pages --------------------------------------------------------------------------------------------------------


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page: its headings as GitHub spells them, and explicit anchors."""
    source = FENCE.sub("", page.read_text())
    names = re.findall(r'<a id="([^"]+)">', source)
    seen: Counter[str] = Counter()
    for title in re.findall(r"^#+ (.+)$", source, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        names.append(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return frozenset(names)


def fault_of(target: str, folder: Path, page: Path | None = None) -> str | None:
    """What is wrong with a link; None if nothing is."""
    path, _, anchor = target.partition("#")
    found = (folder / path).resolve() if path or page is None else page
    if not found.exists():
        return f"{target}: there is no such file"
    if anchor and found.suffix == ".md" and anchor not in anchors(found):
        return f"{target}: there is no such heading"
    return None


def tables(page: Path) -> Iterator[Table]:
    """The tables of a page, with cells as they are written."""
    heading, lines = "", FENCE.sub("", page.read_text()).splitlines()
    for number, line in enumerate(lines):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if re.fullmatch(r"[|:\- ]+", line) and "-" in line and lines[number - 1].startswith("|"):
            rows = []
            for row in lines[number + 1 :]:
                if not row.startswith("|"):
                    break
                rows.append(cells(row))
            yield Table(heading, cells(lines[number - 1]), rows)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table(page: str, *columns: str, heading: str | None = None) -> Table:
    """The only table of a page with these first columns."""
    found = [
        item
        for item in tables(PROTOCOL / page)
        if tuple(item.columns[: len(columns)]) == columns and heading in (None, item.heading)
    ]
    assert len(found) == 1, f"{page} has {len(found)} tables that begin with {columns}"
    return found[0]


# --- citations and links ------------------------------------------------------------------------------------------


def test_everything_the_code_cites_exists() -> None:
    cited = [(path, target) for path in SOURCES for target in CITATION.findall(path.read_text())]
    faults = [f"{path.relative_to(ROOT)}: {fault}" for path, target in cited if (fault := fault_of(target, ROOT))]
    assert not faults
    assert len(cited) > 50, "the search for citations finds some"


def test_the_code_cites_nothing_outside_the_repository() -> None:
    mine = Path(__file__)
    faults = [str(path) for path in SOURCES if path != mine and LOST_CITATION.search(path.read_text())]
    assert not faults


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_have_targets(page: Path) -> None:
    source = FENCE.sub("", page.read_text())
    faults = [fault for target in LINK.findall(source) if (fault := fault_of(target, page.parent, page))]
    assert not faults


def test_every_protocol_page_is_in_the_index() -> None:
    index = (PROTOCOL / "README.md").read_text()
    assert [page.name for page in PROTOCOL.glob("*.md") if page.name != "README.md" and page.name not in index] == []


# --- packets ------------------------------------------------------------------------------------------------------


def name_in(cell: str) -> str:
    return re.sub(r"\[([^\]]*)\]\(.*\)", r"\1", cell)


def test_packet_types_match_the_code() -> None:
    used = table("messages.md", "Number", "Name", "Direction").rows
    reserved = table("messages.md", "Number", "Name", "Number").rows
    pairs = [(int(row[0]), name_in(row[1])) for row in used]
    pairs += [(int(row[at]), row[at + 1]) for row in reserved for at in (0, 2)]
    assert sorted(pairs) == sorted((kind.value, kind.name) for kind in PacketType)


def message_types() -> dict[str, type[messages.Message]]:
    found = [getattr(messages, name) for name in messages.__all__]
    found += [getattr(link_messages, name) for name in ("LinkHello", "LinkChallenge", "LinkProof", "LinkWelcome")]
    return {
        kind.type.name: kind
        for kind in found
        if isinstance(kind, type) and issubclass(kind, messages.Message) and kind is not messages.Message
    }


def documented_sizes(cell: str) -> Callable[[int], bool]:
    """Whether the table of packet types allows a payload of a size."""
    if match := re.fullmatch(r"(\d+) \+ [a-z ]+", cell):
        return lambda size: size >= int(match[1])
    ranges = []
    for part in cell.split(" or "):
        first, _, last = part.partition(" to ")
        ranges.append(range(int(first), int(last or first) + 1))
    return lambda size: any(size in sizes for sizes in ranges)


def test_payload_sizes_match_the_code() -> None:
    kinds = message_types()
    checked = set()
    for row in table("messages.md", "Number", "Name", "Direction").rows:
        name, sizes = name_in(row[1]), row[4]
        if name == "ENCRYPTED" or sizes in NO_PAYLOAD_CHECK:
            continue
        is_documented = documented_sizes(sizes)
        for size in range(600):
            try:
                kinds[name].decode_payload(bytes(size))
            except ProtocolError as error:
                # A payload of zeros may have a fault of another kind.
                is_accepted = not re.search("size|[Kk]ey id|message length|Failed to parse", str(error))
            else:
                is_accepted = True
            if not is_documented(size):
                assert not is_accepted, f"{name} takes {size} bytes, which the documentation does not say"
            elif "+" not in sizes and size in (0, *fixed_sizes(sizes)):
                assert is_accepted, f"{name} refuses {size} bytes"
        checked.add(name)
    assert len(checked) == len(kinds) - 3


def fixed_sizes(cell: str) -> list[int]:
    return [int(part) for part in cell.split(" or ") if part.isdecimal()]


STRUCTS: dict[tuple[str, str], struct.Struct] = {
    ("framing.md", "Packet header"): packet.HEADER,
    ("framing.md", "Encrypted packets"): cipher.NONCE,
    ("handshake.md", "PROTOCOL_VERSION"): handshake._VERSION,
    ("handshake.md", "CRYPTO_CAPABILITIES"): handshake._CAPABILITIES,
    ("handshake.md", "CRYPTO_PARAMETERS"): handshake._PARAMETERS,
    ("messages.md", "CLIENT_CAPABILITIES"): capabilities._LAYOUT,
    ("messages.md", "CLIENT_JOIN"): control._JOIN,
    ("messages.md", "STREAM_START"): control._KINDS,
    ("messages.md", "STREAM_STOP"): control._KINDS,
    ("messages.md", "SERVER_STATE"): control._STATE,
    ("messages.md", "IMAGE_FRAME"): video._IMAGE,
    ("messages.md", "IMAGE_FRAME_H265"): video._HEVC,
    ("messages.md", "ASCII_FRAME"): video._ASCII,
    ("messages.md", "AUDIO_OPUS_BATCH"): audio._BATCH,
    ("messages.md", "AUDIO_BATCH"): audio._BATCH,
    ("messages.md", "ERROR_MESSAGE"): text._ERROR,
    ("messages.md", "REMOTE_LOG"): text._LOG,
    ("screens.md", "SCREEN_UPDATE"): screen._UPDATE,
    ("screens.md", "SCREEN_ACK"): screen._ACK,
    ("screens.md", "VIEW_SETTINGS"): screen._SETTINGS,
    ("screens.md", "VIEW_STATE"): screen._STATE,
    ("screens.md", "PICTURE_REQUEST"): screen._REQUEST,
    ("link2.md", "LINK_HELLO"): link_messages._HELLO,
    ("link2.md", "LINK_CHALLENGE"): link_messages._CHALLENGE,
    ("link2.md", "Invitations"): invitation._HEAD,
    ("rooms.md", "Reply"): room_messages._REPLY_FORMAT,
    ("rooms.md", "Kept"): extended._KEPT,
}


DISCOVERY = {
    kind.type.name: kind
    for kind in map(vars(discovery_messages).get, discovery_messages.__all__)
    if isinstance(kind, type) and issubclass(kind, messages.Message)
}
"""The messages of a discovery service by the names of their packets."""
STRUCTS |= {
    ("discovery.md", name): layout.struct
    for name, kind in DISCOVERY.items()
    if isinstance(layout := getattr(kind, "layout", None), Layout) and name not in ("STRING_RENEW", "HOST_DESIGNATED")
}


def fields_of(layout: struct.Struct) -> list[tuple[int, int]]:
    """Offset and size of each field of a struct."""
    fields, offset = [], 0
    for count, code in re.findall(r"(\d*)([a-zA-Z])", layout.format):
        repeats = 1 if code in "sx" else int(count or 1)
        size = int(count or 1) if code in "sx" else struct.calcsize(">" + code)
        for _ in range(repeats):
            fields.append((offset, size))
            offset += size
    return fields


@pytest.mark.parametrize(("page", "heading"), STRUCTS)
def test_layouts_match_the_code(page: str, heading: str) -> None:
    layout = STRUCTS[page, heading]
    rows = table(page, "Offset", "Size", "Type", heading=heading).rows
    fixed = [(int(row[0]), int(row[1])) for row in rows if row[0].isdecimal() and row[1].isdecimal()]
    fields = fields_of(layout)
    assert fixed[: len(fields)] == fields


def test_types_in_layouts_have_their_sizes() -> None:
    found = [item for page in PROTOCOL.glob("*.md") for item in tables(page) if item.columns[:2] == ["Offset", "Size"]]
    assert len(found) > len(STRUCTS)
    for item in found:
        end = 0
        for offset, size, kind, *_ in item.rows:
            assert WIDTHS.get(kind, size) in (size, int(size) if size.isdecimal() else size), item.heading
            if offset.isdecimal() and size.isdecimal():
                assert int(offset) == end, f"{item.heading} has a gap before {offset}"
                end += int(size)


def test_packets_of_discovery_match_the_code() -> None:
    rows = table("discovery.md", "Number", "Name", "Direction").rows
    assert [(int(row[0]), name_in(row[1])) for row in rows] == sorted(
        (int(kind.type), name) for name, kind in DISCOVERY.items()
    )
    for _, name, _, size in rows:
        layout = getattr(DISCOVERY[name_in(name)], "layout", None)
        if isinstance(layout, Layout) and size.isdecimal():
            assert int(size) == layout.size


def test_error_codes_of_discovery_match_the_code() -> None:
    rows = table("discovery.md", "Error", "Name").rows
    assert [(int(row[0]), row[1]) for row in rows] == [(code.value, code.name) for code in discovery.DiscoveryCode]


@pytest.mark.parametrize(
    ("page", "column", "flags"),
    [("handshake.md", "Reason", messages.AuthFailure), ("screens.md", "Flag", messages.ViewFlag)],
)
def test_bits_match_the_code(page: str, column: str, flags: Any) -> None:
    assert [int(row[0].strip("`"), 16) for row in table(page, "Bit", column).rows] == [flag.value for flag in flags]


# --- limits -------------------------------------------------------------------------------------------------------


def value_in(cell: str) -> int:
    number, unit = re.fullmatch(r"(\d[\d ]*?) ?(KiB|MiB|)", cell).groups()  # type: ignore[union-attr]
    return int(number.replace(" ", "")) * UNITS[unit]


def value_of(path: str) -> object:
    """The value of a constant, or the default of a dataclass's field."""
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module("teleglyph." + ".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            fields = {item.name: item.default for item in dataclasses.fields(found)} if is_dataclass(found) else {}
            found = fields[name] if name in fields else getattr(found, name)
        return found
    raise AssertionError(f"there is no {path}")


def is_dataclass(value: object) -> bool:
    return isinstance(value, type) and dataclasses.is_dataclass(value)


LIMITS = [
    *table("README.md", "Limit", "Value", "Defined in").rows,
    *table("messages.md", "Meaning", "Code", "Defined in").rows,
]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda row: row[2].strip("`"))
def test_limits_match_the_code(limit: list[str]) -> None:
    assert value_in(limit[1]) == value_of(limit[2].strip("`"))


def test_published_limits_of_the_relay_are_documented() -> None:
    documented = {row[2].strip("`").rpartition(".")[2] for row in LIMITS}
    published = {name for name in EventLimits().document() if name.startswith(("max_", "default_"))}
    assert published - documented - {"max_subid_length"} == set()


# --- rooms --------------------------------------------------------------------------------------------------------


def test_close_codes_of_rooms_match_the_code() -> None:
    rows = table("rooms.md", "Code", "Name", "When").rows
    assert [(int(row[0]), row[1]) for row in rows] == [(code.value, code.name) for code in extended.CloseCode]


def test_first_bytes_of_the_extension_match_the_code() -> None:
    rows = table("rooms.md", "First byte", "Direction").rows
    assert [int(row[0]) for row in rows] == list(extended.Extended)


def test_texts_of_rooms_match_the_code() -> None:
    source = (PROTOCOL / "rooms.md").read_text()
    values = [
        getattr(module, name) for module in (end_texts, relay, service) for name in vars(module) if name.isupper()
    ]
    texts = {value for value in values if isinstance(value, str) and " " in value}
    assert len(texts) > 15
    assert [value for value in texts if f"`{value}`" not in source] == []


# --- examples -----------------------------------------------------------------------------------------------------


def seal(message: messages.Message, key: bytes, session_id: bytes) -> bytes:
    """The first encrypted packet of a session."""
    nonce, sealed = cipher.SessionCipher(key, session_id).seal(messages.encode(message))
    return packet.encode_packet(PacketType.ENCRYPTED, nonce + sealed)


def exchange(private_key: bytes, peer_key: bytes) -> bytes:
    """The session key."""
    return primitives.EphemeralKey(lambda _size: private_key).exchange(peer_key)


def sealed_channel() -> list[bytes]:
    """The first four messages of a sealed channel with known secrets."""
    session = bytes(range(16))
    joiner = SealedJoiner(session, JoinerKind.TERMINAL, lambda _size: bytes(range(32)))
    host = SealedHost(FileIdentity(b"\1" * 32), session, lambda _size: bytes(range(32, 64)))
    answer = host.answer(joiner.first_message())
    joiner.receive(answer)
    return [joiner.first_message(), answer, joiner.seal(b"packets"), host.seal(b"packets")]


NAMES = {
    **vars(discovery),
    **vars(acip),
    **vars(primitives),
    **vars(room_messages),
    **vars(extended),
    "seal": seal,
    "exchange": exchange,
    "sealed_channel": sealed_channel,
}
EXAMPLES = [
    pytest.param(match["source"], match["bytes"], id=f"{page.stem}-{match['source'][:40]}")
    for page in sorted(PROTOCOL.glob("*.md"))
    for match in EXAMPLE.finditer(page.read_text())
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 15


@pytest.mark.parametrize(("source", "dump"), EXAMPLES)
def test_examples_give_the_documented_bytes(source: str, dump: str) -> None:
    assert eval(source, dict(NAMES)).hex() == bytes.fromhex(dump).hex()  # noqa: S307 - our own pages


def test_the_example_of_a_screen_shows_the_documented_cells() -> None:
    page = (PROTOCOL / "screens.md").read_text()
    updates = [
        screen.ScreenUpdate.decode_payload(packet.parse_packet(bytes.fromhex(match["bytes"])).payload)
        for match in EXAMPLE.finditer(page)
    ]
    grid, seen = Grid(2, 1), []
    for update in updates:
        apply_update(update.body, update.base == 0, grid)
        seen.append(list(grid.characters()))
    plain = (DEFAULT_COLOR, DEFAULT_COLOR, ord("B"))
    red, blue = direct_color(255, 0, 0), direct_color(0, 0, 255)
    assert seen == [[(red, DEFAULT_COLOR, ord("A")), plain], [(blue, DEFAULT_COLOR, ord("A")), plain]]
