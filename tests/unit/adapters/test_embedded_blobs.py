"""The blob directory keeps the whole contract, against crashes, full disks and foreign files too."""

import errno
import multiprocessing
import os
import re
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from omega.adapters.embedded.blobs import DirectoryBlobStore
from omega.ports.blobs import BlobExists, BlobNotFound
from omega.ports.records import StoreFull, StoreUnavailable
from tests.contracts.blobs import ILLEGAL_IDS, MIB, BlobStoreSuite
from tests.unit.adapters.disk import DiskLog, fail

fork = multiprocessing.get_context("fork")


class TestDirectoryBlobStore(BlobStoreSuite):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[str], DirectoryBlobStore]:
        return lambda name: DirectoryBlobStore(tmp_path / name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made on the way" / "blobs"


@pytest.fixture
def store(path: Path) -> DirectoryBlobStore:
    return DirectoryBlobStore(path)


def files(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if not file.is_dir())


def test_a_payload_is_a_file_in_the_shard_of_the_end_of_its_id(store: DirectoryBlobStore, path: Path) -> None:
    for id in ("01abcxy", "01abdxy", "x", "tmp"):
        store.write(id, chunks=[id.encode()])
    assert files(path) == ["mp/tmp", "x/x", "xy/01abcxy", "xy/01abdxy"]
    assert (path / "xy" / "01abcxy").read_bytes() == b"01abcxy"


def test_directories_and_files_are_private(store: DirectoryBlobStore, path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        (temp,) = (path / "tmp").iterdir()
        assert stat.S_IMODE(temp.stat().st_mode) == 0o600
        yield b"x"

    store.write("abc", chunks=chunks())
    assert stat.S_IMODE((path / "bc" / "abc").stat().st_mode) == 0o600
    for directory in (path.parent, path, path / "tmp", path / "bc"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_payload_is_durable_before_and_after_it_has_its_name(
    store: DirectoryBlobStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = DiskLog(monkeypatch)
    store.write("abc", chunks=[b"x"])
    temp = log.steps[0][1]
    assert re.fullmatch("[0-9a-f]{32}", temp)
    assert log.steps == [
        ("fsync", temp),
        ("fsync", "blobs"),
        ("link", "abc"),
        ("fsync", "bc"),
        ("unlink", temp),
    ]
    log.steps.clear()
    store.write("dbc", chunks=[b"x"])
    temp = log.steps[0][1]
    assert log.steps == [("fsync", temp), ("link", "dbc"), ("fsync", "bc"), ("unlink", temp)]


def test_a_shard_that_another_process_made_is_made_durable_too(
    store: DirectoryBlobStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = DirectoryBlobStore(path)
    store.write("abc", chunks=[b"x"])
    log = DiskLog(monkeypatch)
    another.write("dbc", chunks=[b"x"])
    assert log.index("fsync", "blobs") < log.index("link", "dbc")


def test_the_directories_themselves_are_durable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = DiskLog(monkeypatch)
    DirectoryBlobStore(path)
    assert log.steps == [
        ("fsync", path.parent.parent.name),
        ("fsync", path.parent.name),
        ("fsync", path.name),
    ]


@pytest.mark.parametrize(
    ("call", "code", "error"),
    [
        ("open", errno.ENOSPC, StoreFull),
        ("open", errno.EMFILE, StoreUnavailable),
        ("write", errno.ENOSPC, StoreFull),
        ("write", errno.EDQUOT, StoreFull),
        ("write", errno.EIO, StoreUnavailable),
        ("fsync", errno.ENOSPC, StoreFull),
        ("fsync", errno.EIO, StoreUnavailable),
        ("mkdir", errno.ENOSPC, StoreFull),
        ("mkdir", errno.EROFS, StoreUnavailable),
        ("link", errno.EDQUOT, StoreFull),
        ("link", errno.EPERM, StoreUnavailable),
    ],
)
def test_a_failing_disk_is_told_and_leaves_nothing(
    store: DirectoryBlobStore,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    code: int,
    error: type[Exception],
) -> None:
    with monkeypatch.context() as broken:
        fail(broken, call, code)
        with pytest.raises(error) as raised:
            store.write("abc", chunks=[b"x" * MIB])
    assert str(path) not in str(raised.value)
    assert isinstance(raised.value.__cause__, OSError)
    assert files(path) == []
    assert store.write("abc", chunks=[b"x"]) == 1


def test_a_payload_whose_name_cannot_be_made_durable_is_not_visible(
    store: DirectoryBlobStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_shard(fd: int) -> bool:
        return Path(f"/proc/self/fd/{fd}").readlink().name == "bc"

    with monkeypatch.context() as broken:
        fail(broken, "fsync", errno.EIO, where=is_shard)
        with pytest.raises(StoreUnavailable):
            store.write("abc", chunks=[b"x"])
    assert files(path) == []


def test_writes_that_are_cut_short_are_continued(
    store: DirectoryBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    payload = bytes(range(100))
    assert store.write("abc", chunks=[payload]) == 100
    assert b"".join(store.read("abc")) == payload


@pytest.mark.parametrize("call", ["open", "read"])
def test_a_disk_that_fails_while_reading_is_told(
    store: DirectoryBlobStore, path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store.write("abc", chunks=[b"x"])
    fail(monkeypatch, call, errno.EIO)
    with pytest.raises(StoreUnavailable, match="Input/output error") as error:
        next(store.read("abc"))
    assert str(path) not in str(error.value)


def test_a_disk_that_fails_otherwise_is_told(
    store: DirectoryBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("abc", chunks=[b"x"])
    fail(monkeypatch, "unlink", errno.EROFS)
    with pytest.raises(StoreUnavailable, match="Read-only"):
        store.remove("abc")
    fail(monkeypatch, "scandir", errno.EIO)
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        store.ids()


@pytest.mark.parametrize("id", ILLEGAL_IDS, ids=lambda text: ascii(text)[:12])
def test_no_path_is_made_from_an_illegal_id(
    store: DirectoryBlobStore, monkeypatch: pytest.MonkeyPatch, id: str
) -> None:
    for call in ("open", "link", "unlink", "mkdir"):
        fail(monkeypatch, call, errno.EIO)
    for use in (store.read, store.remove, partial(store.write, chunks=[])):
        with pytest.raises(ValueError, match="illegal blob id"):
            use(id)


def test_a_link_to_elsewhere_is_not_followed(store: DirectoryBlobStore, path: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    store.write("xbc", chunks=[b"x"])
    (path / "bc" / "abc").symlink_to(tmp_path / "secret")
    with pytest.raises(StoreUnavailable):
        store.read("abc")
    with pytest.raises(BlobExists):
        store.write("abc", chunks=[b"overwritten"])
    store.remove("abc")
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_foreign_files_are_not_among_the_ids(store: DirectoryBlobStore, path: Path) -> None:
    store.write("abc", chunks=[b"x"])
    (path / "README").touch()
    (path / "no").touch()
    (path / "bc" / "wrong").touch()
    (path / "bc" / ".hidden.bc").touch()
    (path / "bc" / "a\nbc").touch()
    (path / "lost+found").mkdir()
    (path / "tmp" / "mp").touch()
    assert list(store.ids()) == ["abc"]


def open_files() -> list[str]:
    return sorted(file.name for file in Path("/proc/self/fd").iterdir())


def test_readers_close_their_files(store: DirectoryBlobStore) -> None:
    store.write("abc", chunks=[bytes(2 * MIB)])
    before = open_files()
    given_up, begun, ended = store.read("abc"), store.read("abc"), store.read("abc")
    next(begun)
    assert len(list(ended)) == 2
    assert len(open_files()) == len(before) + 2
    del given_up, begun
    assert open_files() == before
    assert list(ended) == []


def test_writers_close_their_files(store: DirectoryBlobStore) -> None:
    before = open_files()
    store.write("abc", chunks=[b"x"])
    with pytest.raises(BlobExists):
        store.write("abc", chunks=[b"x"])
    with pytest.raises(TypeError):
        store.write("abd", chunks=[None])  # type: ignore[list-item]
    assert open_files() == before


def kill_a_writer(path: Path) -> None:
    """Let a process write half a payload and die."""

    def chunks() -> Iterator[bytes]:
        yield b"half"
        os.kill(os.getpid(), 9)

    process = fork.Process(target=lambda: DirectoryBlobStore(path).write("abc", chunks=chunks()))
    process.start()
    process.join()
    assert process.exitcode == -9


def test_what_a_killed_writer_left_is_not_visible_and_goes_in_time(
    store: DirectoryBlobStore, path: Path
) -> None:
    kill_a_writer(path)
    with pytest.raises(BlobNotFound):
        store.read("abc")
    assert list(store.ids()) == []
    DirectoryBlobStore(path)
    (left,) = (path / "tmp").iterdir()
    assert left.read_bytes() == b"half"
    os.utime(left, (0, left.stat().st_mtime - 3601))
    DirectoryBlobStore(path)
    assert files(path) == []


def test_what_a_writer_writes_slowly_stays(store: DirectoryBlobStore, path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"slow"
        (temp,) = (path / "tmp").iterdir()
        os.utime(temp, (0, 0))
        DirectoryBlobStore(path)
        assert temp.exists()
        yield b"ly"

    store.write("abc", chunks=chunks())
    assert b"".join(store.read("abc")) == b"slowly"
    assert files(path) == ["bc/abc"]


def test_many_processes_may_write_the_same_id_at_once(path: Path) -> None:
    barrier = fork.Barrier(4)

    def write(n: int) -> None:
        store = DirectoryBlobStore(path)
        barrier.wait()
        try:
            store.write("abc", chunks=[bytes([n]) * MIB])
        except BlobExists:
            os._exit(7)

    processes = [fork.Process(target=write, args=(n,)) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    codes = [process.exitcode for process in processes]
    assert sorted(codes) == [0, 7, 7, 7]
    assert b"".join(DirectoryBlobStore(path).read("abc")) == bytes([codes.index(0)]) * MIB
