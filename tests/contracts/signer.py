"""The contract of `omega.ports.signer.Signer`."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega.ports.signer import Signer

_SETTINGS = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


class SignerSuite:
    @pytest.fixture
    def signer(self) -> Signer:
        """A signer of some secret."""
        raise NotImplementedError

    @pytest.fixture
    def twin(self) -> Signer:
        """Another signer of the same secret."""
        raise NotImplementedError

    @pytest.fixture
    def stranger(self) -> Signer:
        """A signer of another secret."""
        raise NotImplementedError

    @_SETTINGS
    @given(payload=st.binary())
    def test_a_signature_is_64_hex_digits_and_always_the_same(
        self, signer: Signer, twin: Signer, payload: bytes
    ) -> None:
        signature = signer.sign(payload)
        assert re.fullmatch("[0-9a-f]{64}", signature)
        assert twin.sign(payload) == signature
        assert signer.verify(payload, signature=signature) is True
        assert twin.verify(payload, signature=signature) is True

    @_SETTINGS
    @given(one=st.binary(), two=st.binary())
    def test_the_signature_of_other_bytes_is_not_accepted(
        self, signer: Signer, one: bytes, two: bytes
    ) -> None:
        assert signer.verify(one, signature=signer.sign(two)) is (one == two)

    def test_the_signature_of_another_secret_is_not_accepted(self, signer: Signer, stranger: Signer) -> None:
        assert signer.verify(b"x", signature=stranger.sign(b"x")) is False

    @_SETTINGS
    @given(at=st.integers(0, 63), digit=st.sampled_from("0123456789abcdef"))
    def test_a_changed_signature_is_not_accepted(self, signer: Signer, at: int, digit: str) -> None:
        signature = signer.sign(b"x")
        changed = signature[:at] + digit + signature[at + 1 :]
        assert signer.verify(b"x", signature=changed) is (changed == signature)

    @pytest.mark.parametrize(
        "change",
        [
            lambda s: "", lambda s: s[:-1], lambda s: s + "0", lambda s: s + "\n", lambda s: " " + s,
            lambda s: s.upper(), lambda s: "\0" + s, lambda s: s[:63] + "\u0660", lambda s: s[:63] + "\ud800",
            lambda s: "\u00e9" * 64, lambda s: "z" * 64, lambda s: s.encode(), lambda s: None,
            lambda s: int(s, 16),
        ],
        ids=range(14),
    )  # fmt: skip
    def test_a_malformed_signature_is_not_accepted(self, signer: Signer, change: Any) -> None:
        assert signer.verify(b"x", signature=change(signer.sign(b"x"))) is False
