"""Nostr events (NIP-01): validation, canonical form, ids and signatures.

Checks have the order of docs/protocol/nostr.md#validation, the cheapest first.  Input from outside becomes a
:class:`NostrEvent` or an :class:`~teleglyph.errors.EventRefusedError`, never another exception.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import coincurve

from teleglyph.errors import EventRefusedError, InvalidMessageError, NotTextError
from teleglyph.printable import printable
from teleglyph.wire.nostr.search_words import words_of

MAX_KIND: Final = 65535
MAX_READABLE_ID: Final = 128
"""Characters of a wrong id that an answer repeats."""
DELETION: Final = 5
VANISH: Final = 62
"""An author asks to delete everything they published until then (NIP-62)."""
GIFT_WRAP: Final = 1059
FIRST_ADDRESSABLE: Final = 30000
"""Kinds from here to 39999 are addressable by their ``d`` tag."""
AUTHENTICATION: Final = 22242
_HEX_32 = re.compile(r"[0-9a-f]{64}")
_HEX_64 = re.compile(r"[0-9a-f]{128}")
_MEMBERS = ("id", "pubkey", "created_at", "kind", "tags", "content", "sig")
_WHOLE = re.compile(r"[0-9]{1,15}")


class NostrEvent:
    """An event whose members have the right form.  Its id and signature may not have been checked yet.

    Attributes:
        id, pubkey, sig: lower-case hexadecimal digits: 64, 64, 128.
        created_at: Unix seconds.
        kind: 0 to 65535.
        tags: each has at least a name.
        content: the text.
    """

    __slots__ = ("_text", "_words", "content", "created_at", "id", "kind", "pubkey", "sig", "tags")

    def __init__(
        self, id: str, pubkey: str, created_at: int, kind: int, tags: list[list[str]], content: str, sig: str
    ) -> None:
        self.id = id
        self.pubkey = pubkey
        self.created_at = created_at
        self.kind = kind
        self.tags = tags
        self.content = content
        self.sig = sig
        self._text: bytes | None = None
        self._words: frozenset[str] | None = None

    def __repr__(self) -> str:
        return f"<NostrEvent {self.id[:8]} kind {self.kind} at {self.created_at}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NostrEvent) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def text(self) -> bytes:
        """The event as JSON with its seven members, in UTF-8; made once."""
        if self._text is None:
            members = {name: getattr(self, name) for name in _MEMBERS}
            self._text = encode_json(members)
        return self._text

    @property
    def words(self) -> frozenset[str]:
        """The words of the content for searches; found once, since many subscriptions may need them."""
        if self._words is None:
            self._words = frozenset(words_of(self.content))
        return self._words

    def values(self, name: str) -> list[str]:
        """The first values of all tags of a name; tags without a value are skipped."""
        return [tag[1] for tag in self.tags if tag[0] == name and len(tag) > 1]

    def first(self, name: str) -> str | None:
        """The first value of a name's tags; None without one."""
        return next(iter(self.values(name)), None)

    # --- kinds (docs/protocol/nostr.md#kinds) ----------------------------------------------------------

    @property
    def is_ephemeral(self) -> bool:
        """It is forwarded, but not stored."""
        return 20000 <= self.kind < 30000

    @property
    def address(self) -> str | None:
        """The value of its ``d`` tag, which all its versions share; None if it has no versions."""
        if self.kind in (0, 3) or 10000 <= self.kind < 20000:
            return ""
        if FIRST_ADDRESSABLE <= self.kind < 40000:
            tag = next((tag for tag in self.tags if tag[0] == "d"), ("d",))
            return tag[1] if len(tag) > 1 else ""
        return None

    def replaces(self, other: NostrEvent) -> bool:
        """Whether it replaces another version: it is newer, or as old with a lower id."""
        return (-self.created_at, self.id) < (-other.created_at, other.id)

    @property
    def expires_at(self) -> int | None:
        """When it expires (NIP-40), in Unix seconds.

        Raises:
            EventRefusedError: the tag is not a whole number.
        """
        value = self.first("expiration")
        if value is None:
            return None
        if not _WHOLE.fullmatch(value):
            raise EventRefusedError("invalid: the expiration is not a whole number of seconds")
        return int(value)

    @property
    def is_protected(self) -> bool:
        """Only its author may publish it (NIP-70)."""
        return any(tag[0] == "-" for tag in self.tags)

    @property
    def difficulty(self) -> int:
        """Leading zero bits of the id (NIP-13)."""
        return 256 - int(self.id, 16).bit_length()

    # --- proof ----------------------------------------------------------------------------------------

    def check_proof(self) -> None:
        """Check id and signature; raises as :meth:`check_id` and :meth:`check_signature`."""
        self.check_id()
        self.check_signature()

    def check_id(self) -> None:
        """Check that the id is the hash of the event.

        Raises:
            EventRefusedError: the id is wrong.
        """
        if event_id(self.pubkey, self.created_at, self.kind, self.tags, self.content) != self.id:
            raise EventRefusedError("invalid: the id is not the hash of the event")

    def check_signature(self) -> None:
        """Check the signature of the id (BIP-340).  It takes about 40 µs and releases the interpreter's lock.

        Raises:
            EventRefusedError: the author did not make it.
        """
        try:
            is_valid = coincurve.PublicKeyXOnly(bytes.fromhex(self.pubkey)).verify(
                bytes.fromhex(self.sig), bytes.fromhex(self.id)
            )
        except ValueError:
            is_valid = False
        if not is_valid:
            raise EventRefusedError("invalid: the signature is not the author's")


def event_id(pubkey: str, created_at: int, kind: int, tags: Sequence[Sequence[str]], content: str) -> str:
    """SHA-256 of the canonical form.  Control characters are escaped as in JSON, nothing else is.

    Raises:
        EventRefusedError: a text has half of a surrogate pair.
    """
    return hashlib.sha256(encode_json([0, pubkey, created_at, kind, tags, content])).hexdigest()


def encode_json(value: object) -> bytes:
    """Encode JSON without blanks, in UTF-8.

    Raises:
        EventRefusedError: a text has half of a surrogate pair.
    """
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        raise EventRefusedError("invalid: a text has half of a surrogate pair") from None


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode


def decode_stored(text: bytes) -> NostrEvent:
    """Decode a stored :attr:`NostrEvent.text`, which was checked before."""
    return NostrEvent(**json.loads(text))


def parse_json(data: bytes) -> Any:
    """Decode JSON from outside.

    Raises:
        NotTextError: it is not UTF-8.
        InvalidMessageError: it is not JSON, or it has a repeated member, NaN, a very long number or deep nesting.
    """
    try:
        return _decode(data.decode())
    except UnicodeDecodeError:
        raise NotTextError("the message is not UTF-8") from None
    except RecursionError:
        raise InvalidMessageError("the message is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise InvalidMessageError(f"the message is not valid JSON: error at character {error.pos + 1}") from None
    except ValueError:
        raise InvalidMessageError(
            "the message is not valid JSON here: an object has a member twice, or a number is not finite or too long"
        ) from None


def quoted(text: str, max_length: int = 40) -> str:
    """A client's text for an answer: cut, printable, and in quotation marks."""
    return f'"{printable(text[:max_length])}"'


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has a member twice")
    return members


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(text)


_decode = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_refuse_constant).decode


def read_event(members: Any, max_tags: int = 1 << 30, max_content: int = 1 << 30) -> NostrEvent:
    """Check the form of an event (rows 1 to 3 of docs/protocol/nostr.md#validation).

    Args:
        members: the decoded JSON object; unknown members are ignored.
        max_tags: how many tags it may have.
        max_content: how many characters its content may have.

    Raises:
        EventRefusedError: it is wrong, and has an id for the answer (:func:`readable_id`).
        InvalidMessageError: it has no such id.
    """
    if readable_id(members) is None:
        raise InvalidMessageError("an event must be an object with an id of 64 lower-case hexadecimal digits")
    if not is_hex(members["id"]):
        raise EventRefusedError("invalid: id must have 64 lower-case hexadecimal digits")
    for name in _MEMBERS:
        if name not in members:
            raise EventRefusedError(f"invalid: the event has no {name}")
    if not is_hex(members["pubkey"]):
        raise EventRefusedError("invalid: pubkey must have 64 lower-case hexadecimal digits")
    sig, created_at, kind = members["sig"], members["created_at"], members["kind"]
    if type(sig) is not str or not _HEX_64.fullmatch(sig):
        raise EventRefusedError("invalid: sig must have 128 lower-case hexadecimal digits")
    if type(created_at) is not int or not 0 <= created_at < 1 << 53:
        raise EventRefusedError("invalid: created_at must be a whole number of seconds")
    if type(kind) is not int or not 0 <= kind <= MAX_KIND:
        raise EventRefusedError(f"invalid: kind must be a whole number from 0 to {MAX_KIND}")
    tags, content = members["tags"], members["content"]
    if type(tags) is not list or not all(type(tag) is list and tag and _are_texts(tag) for tag in tags):
        raise EventRefusedError("invalid: tags must be arrays of strings with at least a name")
    if type(content) is not str:
        raise EventRefusedError("invalid: content must be a string")
    if len(tags) > max_tags:
        raise EventRefusedError(f"invalid: an event has at most {max_tags} tags, this one has {len(tags)}")
    if len(content) > max_content:
        raise EventRefusedError(f"invalid: content has at most {max_content} characters, this one has {len(content)}")
    return NostrEvent(members["id"], members["pubkey"], created_at, kind, tags, content, sig)


def readable_id(members: Any) -> str | None:
    """The id of an event as its client wrote it, right or wrong, for the answer; None without a usable one."""
    number = members.get("id") if isinstance(members, dict) else None
    return number if isinstance(number, str) and 1 <= len(number) <= MAX_READABLE_ID else None


def is_encodable(text: str) -> bool:
    """Whether a text is valid Unicode.  JSON can write half of a surrogate pair, UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_hex(value: object) -> bool:
    """Whether a value is a text of 64 lower-case hexadecimal digits."""
    return type(value) is str and _HEX_32.fullmatch(value) is not None


def _are_texts(values: list[Any]) -> bool:
    return all(type(value) is str for value in values)


def sign_event(
    key: bytes, created_at: int, kind: int, tags: Sequence[Sequence[str]] = (), content: str = ""
) -> NostrEvent:
    """Make and sign an event.

    Args:
        key: the secret key, 32 bytes.
        created_at: Unix seconds.
        kind: of the event.
        tags: each a name and its values.
        content: of the event.

    Raises:
        EventRefusedError: a text has half of a surrogate pair.
    """
    private = coincurve.PrivateKey(key)
    pubkey = private.public_key_xonly.format().hex()
    own_tags = [list(tag) for tag in tags]
    number = event_id(pubkey, created_at, kind, own_tags, content)
    signature = private.sign_schnorr(bytes.fromhex(number)).hex()
    return NostrEvent(number, pubkey, created_at, kind, own_tags, content, signature)
