"""Bodies as one piece of memory."""

import io
import tempfile
from pathlib import Path
from typing import Any

import pytest

from omega.domain.errors import TooLarge
from omega.entrypoints.formats.sources import whole
from omega.entrypoints.limits import Limits

CONTENT = b"0123456789" * 1000


def of_memory(path: Path) -> Any:
    return io.BytesIO(CONTENT)


def of_no_name(path: Path) -> Any:
    file = tempfile.TemporaryFile(dir=path)  # noqa: SIM115  the test closes it
    file.write(CONTENT)
    file.seek(0)
    return file


def of_a_name(path: Path) -> Any:
    (path / "file").write_bytes(CONTENT)
    return (path / "file").open("r+b")


def of_a_stream(path: Path) -> Any:
    return io.BufferedReader(io.BytesIO(CONTENT))  # type: ignore[arg-type]


SOURCES = pytest.mark.parametrize("opened", [of_memory, of_no_name, of_a_name, of_a_stream])


@SOURCES
@pytest.mark.parametrize("at", [0, 7, len(CONTENT)])
def test_what_is_left_is_read(tmp_path: Path, opened: Any, at: int) -> None:
    with opened(tmp_path) as source:
        source.read(at)
        assert whole(source, Limits()) == CONTENT[at:]


def test_a_file_that_others_can_cut_is_not_mapped(tmp_path: Path) -> None:
    with of_a_name(tmp_path) as source:
        content = whole(source, Limits())
        (tmp_path / "file").write_bytes(b"")
        assert content == CONTENT


@pytest.mark.parametrize("opened", [of_a_name, of_a_stream])
def test_no_more_is_read_than_the_limit(tmp_path: Path, opened: Any) -> None:
    with opened(tmp_path) as source, pytest.raises(TooLarge, match="body_bytes"):
        whole(source, Limits(body_bytes=len(CONTENT) - 1))
