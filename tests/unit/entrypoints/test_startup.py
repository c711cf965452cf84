"""How processes begin."""

import gc
import subprocess
import sys
from multiprocessing import Pipe

import pytest

from omega.entrypoints.startup import importing
from omega.entrypoints.worker import supervisor
from omega.entrypoints.worker.slot import Slot


@pytest.fixture
def slots():
    """Slots without processes, and the other ends of their connections."""
    made = []
    for _ in range(3):
        ours, theirs = Pipe()
        guard = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        made.append((Slot(guard, ours), theirs))
    yield [slot for slot, _ in made]
    for slot, theirs in made:
        slot.guard.communicate(b"\n")
        slot.connection.close()
        theirs.close()


def test_no_garbage_is_looked_for_during_imports():
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()
    gc.unfreeze()


def test_a_process_starts_until_it_is_ready_is_closed_or_takes_too_long(slots, monkeypatch):
    ready, closed, slow = slots
    assert all(slot.is_starting for slot in slots)
    ready.ready = True
    closed.closed = closed.started
    slow.started -= 11
    assert not any(slot.is_starting for slot in slots)


def test_half_of_the_cores_start_processes_at_once(slots, monkeypatch):
    first, second, third = slots
    waiting = [second, third]
    monkeypatch.setattr(Slot, "start", lambda: waiting.pop(0))
    monkeypatch.setattr(supervisor, "_STARTS_AT_ONCE", 1)
    monkeypatch.setattr(supervisor, "_RESTART_PAUSE_S", 0.0)
    looked_after = supervisor.Supervisor.__new__(supervisor.Supervisor)
    looked_after.processes, looked_after._stopping, looked_after._started = 3, None, 0.0
    looked_after._slots = [first]
    looked_after._start_missing()
    assert looked_after._slots == [first]
    first.ready = True
    looked_after._start_missing()
    looked_after._start_missing()
    assert looked_after._slots == [first, second]
