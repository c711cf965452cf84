"""Places of what is stored, with checksums of any kind."""

import hashlib
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from omega.domain.checksums import Place, checksum_in, is_pointer

POINTER = {"id": "a", "size_bytes": 3}


@given(content=st.binary(max_size=50), other=st.binary(max_size=50), kind=st.sampled_from(["xxh3", "sha256"]))
def test_only_what_was_written_has_the_checksum(content: bytes, other: bytes, kind: str) -> None:
    digest = {"xxh3": xxhash.xxh3_128, "sha256": hashlib.sha256}[kind](content).hexdigest()
    place = Place.of({**POINTER, "checksum": f"{kind}:{digest}"})
    for found in (content, other):
        seen = place.digest()
        for at in range(0, len(found), 7):
            seen.update(found[at : at + 7])
        assert place.is_that_of(seen) == (found == content)


def test_a_bare_sha256_is_one_too() -> None:
    assert checksum_in({**POINTER, "sha256": "00"}) == "sha256:00"
    assert Place.of({**POINTER, "sha256": "00"}) == Place("a", 3, "sha256:00")


@pytest.mark.parametrize(
    ("pointer", "error"),
    [
        (POINTER, KeyError),
        ({**POINTER, "checksum": "md5:00"}, ValueError),
        ({**POINTER, "checksum": ""}, ValueError),
        ({"id": "a", "checksum": "xxh3:00"}, KeyError),
    ],
)
def test_what_is_no_pointer(pointer: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Place.of(pointer)


def test_what_looks_like_a_pointer() -> None:
    assert is_pointer({**POINTER, "sha256": "0"})
    assert is_pointer({**POINTER, "checksum": "xxh3:0", "rows": 1})
    assert not is_pointer(POINTER)
    assert not is_pointer({"id": "a", "sha256": "0"})
