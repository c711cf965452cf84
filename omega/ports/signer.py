"""Signatures that show that bytes were written by us."""

from typing import Protocol


class Signer(Protocol):
    """Signs payload digests with a secret of this installation (HMAC-SHA-256, RFC 2104)."""

    def sign(self, payload: bytes) -> str:
        """The signature of `payload`, 64 hex digits; the same for the same bytes and secret."""

    def verify(self, payload: bytes, *, signature: str) -> bool:
        """Whether `signature` is that of `payload`, compared in constant time; any malformed signature is
        `False`.
        """
