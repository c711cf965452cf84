"""The clock, identifiers and signer of the machine keep their contracts; the key is private and durable."""

import multiprocessing
import stat
from pathlib import Path

import pytest

from omega.adapters.system import signer as signer_module
from omega.adapters.system.clock import SystemClock
from omega.adapters.system.ids import TimeOrderedIds
from omega.adapters.system.signer import HmacSigner, UnusableKeyFile, load_key, load_or_create_key
from tests.contracts.clock import ClockSuite
from tests.contracts.ids import IdsSuite
from tests.contracts.signer import SignerSuite
from tests.unit.adapters.disk import DiskLog

fork = multiprocessing.get_context("fork")


class TestSystemClock(ClockSuite):
    @pytest.fixture
    def clock(self) -> SystemClock:
        return SystemClock()


class TestTimeOrderedIds(IdsSuite):
    @pytest.fixture
    def ids(self) -> TimeOrderedIds:
        return TimeOrderedIds()

    @pytest.fixture
    def others(self) -> TimeOrderedIds:
        return TimeOrderedIds()


class TestHmacSigner(SignerSuite):
    @pytest.fixture
    def signer(self) -> HmacSigner:
        return HmacSigner(bytes(range(32)))

    @pytest.fixture
    def twin(self) -> HmacSigner:
        return HmacSigner(bytes(range(32)))

    @pytest.fixture
    def stranger(self) -> HmacSigner:
        return HmacSigner(bytes(range(1, 33)))


def test_an_identifier_begins_with_the_time_in_crockford_s_base_32() -> None:
    assert TimeOrderedIds(now_ms=lambda: 0).new()[:10] == "0000000000"
    assert TimeOrderedIds(now_ms=lambda: 2**48 - 1).new()[:10] == "7zzzzzzzzz"
    # The example of https://github.com/ulid/spec.
    assert TimeOrderedIds(now_ms=lambda: 1469922850259).new()[:10] == "01arz3ndek"


def test_identifiers_of_one_millisecond_ascend() -> None:
    ids = TimeOrderedIds(now_ms=lambda: 1000)
    made = [ids.new() for _ in range(1000)]
    assert made == sorted(set(made))


def test_identifiers_ascend_when_the_clock_is_set_back() -> None:
    times = iter([1000, 1001, 5, 6, 1001, 1002])
    ids = TimeOrderedIds(now_ms=lambda: next(times))
    made = [ids.new() for _ in range(6)]
    assert made == sorted(set(made))


def test_a_process_and_its_fork_make_different_identifiers() -> None:
    ids = TimeOrderedIds(now_ms=lambda: 1000)
    ids.new()
    queue = fork.SimpleQueue()

    def child() -> None:
        queue.put([ids.new() for _ in range(50)])

    children = [fork.Process(target=child) for _ in range(2)]
    for process in children:
        process.start()
    made = [id for batch in (queue.get(), queue.get(), [ids.new() for _ in range(50)]) for id in batch]
    for process in children:
        process.join()
    assert len(set(made)) == 150


def test_a_fork_does_not_wait_for_a_lock_of_its_parent() -> None:
    ids = TimeOrderedIds()
    with ids._lock:
        child = fork.Process(target=ids.new)
        child.start()
        child.join(10)
        alive = child.is_alive()
        child.kill()
        child.join()
    assert not alive


def test_the_signature_is_hmac_sha_256() -> None:
    # RFC 4231, test case 6.
    signature = HmacSigner(b"\xaa" * 131).sign(b"Test Using Larger Than Block-Size Key - Hash Key First")
    assert signature == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"


def test_a_short_key_is_refused_and_no_key_is_shown() -> None:
    with pytest.raises(ValueError, match="31 bytes, 32 are needed"):
        HmacSigner(b"secret!" * 4 + b"sec")
    assert "secret" not in repr(HmacSigner(b"secret!!" * 4))


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(signer_module.hmac, "compare_digest", lambda *both: compared.append(both) or False)
    assert HmacSigner(bytes(32)).verify(b"x", signature="0" * 64) is False
    assert len(compared) == 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "on the way" / "key"


def test_a_key_is_made_once_and_private(path: Path) -> None:
    key = load_or_create_key(path)
    assert len(key) == 32
    assert load_or_create_key(path) == key
    assert path.read_text() == key.hex() + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert load_or_create_key(path.with_name("another")) != key


def test_a_key_is_durable_before_and_after_it_has_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = DiskLog(monkeypatch)
    load_or_create_key(path)
    temp = log.steps[-4][1]
    assert temp.endswith(".tmp")
    assert log.steps[-4:] == [("fsync", temp), ("link", "key"), ("unlink", temp), ("fsync", "on the way")]
    assert log.steps[:-4] == [("fsync", path.parents[2].name), ("fsync", "made")]
    log.steps.clear()
    load_or_create_key(path)
    assert log.steps == [("fsync", "on the way")]


def test_processes_that_make_a_key_at_once_agree_on_one(path: Path) -> None:
    barrier = fork.Barrier(4)
    queue = fork.SimpleQueue()

    def child() -> None:
        barrier.wait()
        queue.put(load_or_create_key(path))

    children = [fork.Process(target=child) for _ in range(4)]
    for process in children:
        process.start()
    keys = {queue.get() for _ in children}
    for process in children:
        process.join()
    assert keys == {load_or_create_key(path)}


def test_a_key_that_appears_meanwhile_is_not_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    another = "ab" * 32
    token_hex = signer_module.secrets.token_hex

    def appear(size: int) -> str:
        if size == 16:
            path.write_text(another)
            path.chmod(0o600)
        return token_hex(size)

    monkeypatch.setattr(signer_module.secrets, "token_hex", appear)
    assert load_or_create_key(path) == bytes.fromhex(another)


def test_a_key_that_is_named_is_not_made(path: Path) -> None:
    with pytest.raises(UnusableKeyFile, match=r"key file .*/key is missing: copy it from the machine"):
        load_key(path)
    assert not path.parent.exists()
    key = load_or_create_key(path)
    path.chmod(0o400)
    path.parent.chmod(0o500)
    assert load_key(path) == key
    path.chmod(0o644)
    with pytest.raises(UnusableKeyFile, match="others may use"):
        load_key(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o644, 0o610, 0o777], ids=oct)
def test_a_key_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    load_or_create_key(path)
    path.chmod(mode)
    with pytest.raises(UnusableKeyFile, match=r"others may use the key file .*/key .*chmod 600"):
        load_or_create_key(path)


@pytest.mark.parametrize(
    "content",
    [
        *("", "\n", "00" * 31, "00" * 33, "00" * 32 + "\n\n", "00" * 32 + "\nx"),
        *("zz" * 32, "AB" * 32, " " + "00" * 32, "00" * 5000),
    ],
    ids=range(10),
)
def test_a_file_that_holds_no_key_is_refused_and_left_alone(path: Path, content: str) -> None:
    load_or_create_key(path)
    path.write_text(content)
    with pytest.raises(UnusableKeyFile, match=r"key file .*/key does not hold a key: 64 hex digits"):
        load_or_create_key(path)
    assert path.read_text() == content


def test_what_is_not_a_regular_file_is_refused(path: Path) -> None:
    load_or_create_key(path)
    path.with_name("link").symlink_to(path)
    path.with_name("directory").mkdir(mode=0o700)
    for name in ("link", "directory"):
        with pytest.raises(UnusableKeyFile, match=f"/{name}"):
            load_or_create_key(path.with_name(name))
