"""The parts of the script runner that need no script."""

import enum
import math
import os
import subprocess
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.adapters.subprocess_scripts import guard
from omega.adapters.subprocess_scripts.plain import MAX_DEPTH, NotPlain, plain
from omega.adapters.subprocess_scripts.watch import Output
from tests.contracts.scripts import fork, json_values

UNPRIVILEGED = 65534


@given(json_values)
def test_json_stays_as_it_is(value: Any) -> None:
    assert repr(plain(value)) == repr(value)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32)), st.sampled_from("fd"))
def test_arrays_become_equal_lists(values: list[float], kind: str) -> None:
    assert plain(np.array(values, dtype=kind)) == values


def test_subclasses_are_what_they_hold() -> None:
    class Colour(enum.IntEnum):
        RED = 1

    class Name(str):
        pass

    pair = namedtuple("pair", "a b")
    assert plain([Colour.RED, Name("x"), pair(1, (2,)), OrderedDict(a=1)]) == [1, "x", [1, [2]], {"a": 1}]
    assert type(plain(pair(1, 2))) is list
    assert type(plain(OrderedDict(a=1))) is dict


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def test_levels_are_bounded() -> None:
    assert plain(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(NotPlain, match="200 levels"):
        plain(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": [0, math.nan]}, r"^args\['a'\]\[1\] is nan"),
        ([np.float64("inf")], r"^args\[0\] is inf"),
        ([np.float32("nan")], r"^args\[0\] is nan"),
        (np.array([[1.0, np.nan]]), r"^args\[0\]\[1\] is nan"),
        ({"k" * 100: {2}}, r"^args\['k{60}'\] is of the type set"),
        ({"\n\u202e": {2}}, r"^args\['\\n\\u202e'\] is of the type set"),
        ({("a", 1): 2}, "^args has a key of the type tuple"),
        ({np.int64(1): 2}, "^args has a key of the type numpy.int64"),
        (np.array([1j]), "numpy.ndarray of complex128"),
        (np.zeros(2, dtype="i4,i4"), "numpy.ndarray of "),
        (np.array([b"x"]), r"numpy.ndarray of \|S1"),
        (np.array([1], dtype=np.longdouble), "numpy.ndarray of "),
        (np.datetime64("2020"), "type numpy.datetime64"),
        (pd.DataFrame({"a": [1]}), r"type pandas(\.core\.frame)?\.DataFrame"),
        ([pd.NA], "NAType"),
        ([pd.Timestamp(0)], "Timestamp"),
        ([pd.NaT], "NaTType"),
    ],
)
def test_what_is_not_json_is_told_with_its_place(value: Any, told: str) -> None:
    with pytest.raises(NotPlain, match=told):
        plain(value, "args")


def test_output_counts_what_it_drops() -> None:
    output = Output(5)
    for part in (b"abc", b"de", b"", b"f", b"gh"):
        output.add(part)
    assert output.text() == "abcde\n[3 more bytes were dropped]\n"


@given(st.lists(st.binary(max_size=8)), st.integers(0, 40))
def test_output_is_the_beginning_of_what_came(parts: list[bytes], limit: int) -> None:
    output = Output(limit)
    for part in parts:
        output.add(part)
    whole = b"".join(parts)
    if len(whole) <= limit:
        assert output.text() == whole.decode(errors="replace")
    else:
        kept, _, told = output.text().rpartition("\n[")
        assert whole.decode(errors="replace").startswith(kept)
        assert len(kept.encode()) <= 3 * limit
        assert told == f"{len(whole) - limit:,} more bytes were dropped]\n"


def test_the_guard_finds_its_children_with_and_without_help_of_the_kernel() -> None:
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(3)]
    try:
        pids = {child.pid for child in children}
        assert pids <= set(guard._search_children(os.getpid()))
        assert pids <= set(guard._children())
        assert guard._parent(os.getpid()) == os.getppid()
    finally:
        for child in children:
            child.kill()
            child.wait()
    assert guard._parent(children[0].pid) is None
    assert not pids & set(guard._search_children(os.getpid()))


def _leave_and_remove(home: Path) -> None:
    if os.getuid() == 0:  # whom no mode stops
        os.chown(home, UNPRIVILEGED, UNPRIVILEGED)
        os.setgid(UNPRIVILEGED)
        os.setuid(UNPRIVILEGED)
    (home.parent / "elsewhere").mkdir(mode=0o750)
    (home / "a" / "b").mkdir(parents=True)
    (home / "a" / "b" / "file").write_text("x")
    (home / "a" / "elsewhere").symlink_to(home.parent / "elsewhere")
    (home / "a" / "b").chmod(0)
    (home / "a").chmod(0o500)
    home.chmod(0o500)
    assert guard.remove(home)


def test_a_directory_that_a_script_locked_is_removed(tmp_path: Path) -> None:
    parent = tmp_path
    while parent != parent.parent and parent.stat().st_uid == os.getuid():
        parent.chmod(0o755)
        parent = parent.parent
    room = tmp_path / "room"
    room.mkdir()
    room.chmod(0o777)
    (home := room / "home").mkdir()
    other = fork.Process(target=_leave_and_remove, args=(home,))
    other.start()
    other.join()
    assert other.exitcode == 0
    assert not home.exists()
    assert (room / "elsewhere").stat().st_mode & 0o777 == 0o750
