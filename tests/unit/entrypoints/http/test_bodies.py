"""Request bodies under limits."""

import io
import tempfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omega.domain.errors import BadInput, TooLarge
from omega.entrypoints.http.bodies import body_stream, parse_json_object, read_body
from omega.entrypoints.http.errors import UnsupportedContentEncoding


class Socket:
    """A `wsgi.input` that cannot seek, gives at most `most` bytes at once, and counts what was asked."""

    def __init__(self, content: bytes, *, most: int = 7) -> None:
        self._content = io.BytesIO(content)
        self._most = most
        self.asked = 0

    def read(self, size: int) -> bytes:
        self.asked += size
        return self._content.read(min(size, self._most))


class Unreadable:
    def read(self, size: int = -1) -> bytes:
        raise AssertionError("the body was read")


def environ(source: Any, length: object = None, **more: str) -> dict[str, Any]:
    announced = {} if length is None else {"CONTENT_LENGTH": str(length)}
    return {"wsgi.input": source, **announced, **more}


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 50), st.booleans(), st.booleans(), st.integers(1, 40))
def test_a_body_within_the_limit_comes_whole(
    body: bytes, most: int, file: bool, chunked: bool, step: int
) -> None:
    def source() -> Any:
        return io.BytesIO(body) if file else Socket(body, most=most)

    def request() -> dict[str, Any]:
        return (
            environ(source(), HTTP_TRANSFER_ENCODING="chunked") if chunked else environ(source(), len(body))
        )

    assert read_body(request(), max_bytes=300) == body
    stream = body_stream(request(), max_bytes=300)
    assert b"".join(iter(lambda: stream.read(step), b"")) == body


def test_what_follows_the_body_is_not_asked_for() -> None:
    source = Socket(b"helloGET / HTTP/1.1")
    assert read_body(environ(source, 5), max_bytes=100) == b"hello"
    assert source.asked == 5


def test_no_length_and_no_chunks_mean_no_body() -> None:
    assert read_body(environ(Unreadable()), max_bytes=10) == b""
    assert read_body(environ(Unreadable(), ""), max_bytes=10) == b""


def test_an_announced_length_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(TooLarge, match=r"over the limit of 1,000 bytes \(body_bytes\)"):
        read_body(environ(Unreadable(), 1001), max_bytes=1000)


@pytest.mark.parametrize("source", [io.BytesIO, Socket])
def test_chunks_are_counted_as_they_come(source: Any) -> None:
    assert len(read_body(environ(source(b"x" * 10), HTTP_TRANSFER_ENCODING="chunked"), max_bytes=10)) == 10
    with pytest.raises(TooLarge, match="over the limit of 9 bytes"):
        read_body(environ(source(b"x" * 10), HTTP_TRANSFER_ENCODING="chunked"), max_bytes=9)


def test_an_endless_body_is_refused_at_the_limit() -> None:
    class Endless:
        given = 0

        def read(self, size: int) -> bytes:
            self.given += size
            return b"x" * size

    source = Endless()
    with pytest.raises(TooLarge):
        read_body(environ(source, HTTP_TRANSFER_ENCODING="chunked"), max_bytes=1 << 20)
    assert source.given < 3 << 20


@pytest.mark.parametrize("source", [io.BytesIO, Socket])
def test_a_body_that_is_cut_short_is_refused(source: Any) -> None:
    with pytest.raises(BadInput, match="cut short: 10 bytes were announced, 9 came"):
        read_body(environ(source(b"x" * 9), 10), max_bytes=100)


@pytest.mark.parametrize("length", ["-1", "+5", "5, 5", "0x5", "\u0665", "1.0", "5 ", "9" * 19])
def test_a_malformed_length_is_refused(length: str) -> None:
    with pytest.raises(BadInput, match="is not a number of bytes"):
        read_body(environ(Unreadable(), length), max_bytes=100)


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "GZIP"])
def test_a_compressed_body_is_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedContentEncoding, match=encoding.lower()) as caught:
        read_body(environ(Unreadable(), 5, HTTP_CONTENT_ENCODING=encoding), max_bytes=100)
    assert ("Accept-Encoding", "identity") in caught.value.headers


def test_identity_is_no_compression() -> None:
    assert read_body(environ(io.BytesIO(b"a"), 1, HTTP_CONTENT_ENCODING="Identity"), max_bytes=9) == b"a"


def test_a_body_that_is_a_file_already_can_seek() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        stream = body_stream(environ(file, 10), max_bytes=10)
        assert stream.seek(-3, io.SEEK_END) == 7
        assert stream.read() == b"789"


def test_an_object_is_asked_for() -> None:
    assert parse_json_object(b' {"a": 1}') == {"a": 1}
    for raw, kind in (
        (b"[]", "list"),
        (b"1", "number"),
        (b"1.5", "number"),
        (b"null", "null"),
        (b"true", "boolean"),
        (b'""', "string"),
    ):
        with pytest.raises(BadInput, match=f"this is a JSON {kind}"):
            parse_json_object(raw, allow_empty=True)


def test_no_body_is_an_empty_object_only_where_it_is_allowed() -> None:
    assert parse_json_object(b"", allow_empty=True) == parse_json_object(b"{}", allow_empty=True) == {}
    with pytest.raises(BadInput, match="empty"):
        parse_json_object(b"")
