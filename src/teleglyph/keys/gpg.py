"""Ed25519 keys of GnuPG: ``gpg`` finds them, and its agent signs with them.

ACIP only signs texts of 32 bytes, the size of a SHA-256 digest.  If the agent gets one as a digest, it makes a
plain Ed25519 signature (RFC 8032), which can be verified without GnuPG.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import nacl.exceptions
import nacl.signing

from teleglyph.errors import KeyFileError
from teleglyph.keys.blob import KEY_SIZE
from teleglyph.wire.acip import Identity, fingerprint

_ID = re.compile(r"(?:0x)?([0-9A-Fa-f]{8}|[0-9A-Fa-f]{16}|[0-9A-Fa-f]{40})")
_SECONDS = 30.0
"""Timeout; the agent may prompt for a pass phrase."""
_EDDSA = "22"


class GpgIdentity:
    """An Ed25519 key that gpg-agent holds.

    Args:
        public_key: its 32 bytes.
        grip: its keygrip, the agent's name for it.
    """

    def __init__(self, public_key: bytes, grip: str) -> None:
        self._public_key = public_key
        self._grip = grip

    def __repr__(self) -> str:
        return f"<GpgIdentity {fingerprint(self._public_key)}>"

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        return self._public_key

    def sign(self, data: bytes) -> bytes:
        """The 64-byte Ed25519 signature of 32 bytes; waits for the agent, which may prompt its user.

        Raises:
            KeyFileError: the agent did not sign.
        """
        answer = _agent(f"SIGKEY {self._grip}", f"SETHASH --hash=sha256 {data.hex()}", "PKSIGN")
        signature = b"".join(_value(answer, name) for name in (b"r", b"s"))
        try:
            nacl.signing.VerifyKey(self._public_key).verify(data, signature)
        except (nacl.exceptions.BadSignatureError, ValueError):
            raise KeyFileError("gpg-agent did not make a valid Ed25519 signature.") from None
        return signature


def load_gpg_identity(key_id: str) -> Identity:
    """The secret key with a GnuPG key id of 8, 16 or 40 hexadecimal digits.

    Raises:
        KeyFileError: GnuPG is not installed or does not have the key, or it is not an Ed25519 key.
    """
    grip = _grip(key_id, "--list-secret-keys", "sec", "ssb")
    return GpgIdentity(_public_key(grip), grip)


def gpg_public_key(key_id: str) -> bytes:
    """The public key with a GnuPG key id of 8, 16 or 40 hexadecimal digits.

    Raises:
        KeyFileError: as for :func:`load_gpg_identity`.
    """
    digits = _digits(key_id)
    _grip(key_id, "--list-keys", "pub", "sub")
    # RFC 4880bis 5.6.5: version, time, algorithm 22, the object identifier of Ed25519, then an MPI of 0x40 and the key.
    data = _run("gpg", "--batch", "--export", digits)
    oid = bytes.fromhex("092b06010401da470f01")
    place = data.find(oid)
    point = data[place + len(oid) + 2 :][: 1 + KEY_SIZE]
    if place < 0 or len(point) != 1 + KEY_SIZE or point[0] != 0x40:
        raise KeyFileError(f"GnuPG's key {key_id} is not an Ed25519 key.")
    return point[1:]


def _digits(key_id: str) -> str:
    found = _ID.fullmatch(key_id)
    if not found:
        raise KeyFileError(
            f"'gpg:{key_id}' needs 8, 16 or 40 hexadecimal digits after the colon, as 'gpg --list-keys' prints them."
        )
    return found[1]


def _grip(key_id: str, listing: str, *records: str) -> str:
    """The keygrip of the primary key, which must be Ed25519."""
    text = _run("gpg", "--batch", "--with-colons", "--with-keygrip", listing, _digits(key_id)).decode(
        "utf-8", "replace"
    )
    is_ours = False
    for line in text.splitlines():
        fields = line.split(":")
        if fields[0] in records:
            is_ours = len(fields) > 16 and fields[3] == _EDDSA and fields[16].lower() == "ed25519"
        elif fields[0] == "grp" and is_ours:
            return fields[9]
    raise KeyFileError(
        f"GnuPG's key {key_id} is not an Ed25519 key. Make one with 'gpg --quick-generate-key NAME ed25519 sign'."
    )


def _public_key(grip: str) -> bytes:
    point = _value(_agent(f"READKEY {grip}"), b"q")
    if len(point) != 1 + KEY_SIZE or point[0] != 0x40:
        raise KeyFileError("gpg-agent's key is not an Ed25519 key.")
    return point[1:]


def _value(expression: bytes, name: bytes) -> bytes:
    """A named value of a canonical S-expression (RFC 9804)."""
    found = re.search(rb"\(%d:%s(\d{1,4}):" % (len(name), re.escape(name)), expression)
    if not found:
        raise KeyFileError("gpg-agent sent an unexpected answer.")
    return expression[found.end() : found.end() + int(found[1])]


def _agent(*commands: str) -> bytes:
    """Send commands to the agent; returns its joined and unescaped answer."""
    output = _run("gpg-connect-agent", *commands, "/bye")
    data = bytearray()
    for line in output.split(b"\n"):
        if line.startswith(b"D "):
            data += re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), line[2:])
        elif line.startswith(b"ERR "):
            raise KeyFileError(f"gpg-agent refused: {line[4:].decode('utf-8', 'replace')}.")
    return bytes(data)


def _run(program: str, *arguments: str) -> bytes:
    path = shutil.which(program)
    if path is None:
        raise KeyFileError(f"'{program}' is not installed, and 'gpg:' keys need it.")
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours or hexadecimal digits
            [path, *arguments], capture_output=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise KeyFileError(f"'{program}' did not answer within {_SECONDS:g} s.") from None
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise KeyFileError(f"{program} failed: {reason[-1] if reason else 'it reported no reason'}")
    return done.stdout
