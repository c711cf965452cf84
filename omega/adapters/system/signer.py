"""Signatures with a secret key in a file of this machine."""

import hashlib
import hmac
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_KEY_BYTES: Final = 32
_MAX_FILE_BYTES: Final = 4096
_CONTENT = re.compile(rb"([0-9a-f]{64})\n?")
_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW


class UnusableKeyFile(Exception):
    """The key file is not one that we wrote, or others may read it; the message says which file and why."""


class HmacSigner:
    """A `Signer` by HMAC-SHA-256 (RFC 2104) with `key`, of 32 bytes or more."""

    def __init__(self, key: bytes) -> None:
        if len(key) < _KEY_BYTES:
            raise ValueError(f"the signing key has {len(key)} bytes, {_KEY_BYTES} are needed")
        self._key = key

    def __repr__(self) -> str:
        return "HmacSigner()"

    def sign(self, payload: bytes) -> str:
        """The signature of `payload`, 64 hex digits."""
        return hmac.new(self._key, payload, hashlib.sha256).hexdigest()

    def verify(self, payload: bytes, *, signature: str) -> bool:
        """Whether `signature` is that of `payload`; see `Signer.verify`."""
        return isinstance(signature, str) and hmac.compare_digest(
            self.sign(payload).encode(), signature.encode(errors="replace")
        )


def load_key(path: Path) -> bytes:
    """The 32 secret bytes in the file `path`, which another machine has made.

    Raises: UnusableKeyFile.
    """
    try:
        return _load(path)
    except FileNotFoundError as error:
        raise UnusableKeyFile(
            f"the key file {path} is missing: copy it from the machine that has it"
        ) from error


def load_or_create_key(path: Path) -> bytes:
    """The 32 secret bytes in the file `path`, which is made, mode 0600, where it is missing.

    Processes that do so at once get one key, and it survives a power cut once any of them has it.

    Raises: UnusableKeyFile, OSError.
    """
    try:
        key = _load(path)
    except FileNotFoundError:
        _create(path)
        key = _load(path)
    # Also where another process made it: that one may not have come as far as its sync yet.
    _sync_directory(path.parent)
    return key


def _load(path: Path) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnusableKeyFile(f"cannot read the key file {path}: {error.strerror}") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise UnusableKeyFile(f"the key file {path} is not a regular file")
        if mode := stat.S_IMODE(status.st_mode) & 0o077:
            raise UnusableKeyFile(
                f"others may use the key file {path} (mode bits {mode:03o}): make it private with chmod 600, "
                "and replace it if anyone may have read it"
            )
        content = os.read(fd, _MAX_FILE_BYTES)
    finally:
        os.close(fd)
    if (match := _CONTENT.fullmatch(content)) is None:
        raise UnusableKeyFile(f"the key file {path} does not hold a key: 64 hex digits are expected")
    return bytes.fromhex(match[1].decode())


def _create(path: Path) -> None:
    """Write a fresh key under another name and publish it by a link, which never replaces a key."""
    _make_directory(path.parent)
    temp = path.with_name(f".{secrets.token_hex(16)}.tmp")
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_hex(_KEY_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(fd)
        with suppress(FileExistsError):
            os.link(temp, path, follow_symlinks=False)
    finally:
        temp.unlink()


def _make_directory(path: Path) -> None:
    if path.is_dir():
        return
    _make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
