"""What a filter reads of a frame in many segments, and that it finds what it would find without bounds."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omega.domain import segment_bounds, segments, tabular
from omega.domain.contents import decode_frame, encode
from omega.domain.datasets import DatasetService, Query
from omega.domain.errors import BadInput, Corrupt
from omega.domain.names import Reference
from omega.ports.blobs import BlobNotFound
from omega.ports.records import StoreFull
from tests.support.services import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_ROWS", 4)
    monkeypatch.setattr(segments, "FAN_IN", 3)
    monkeypatch.setattr(segments, "TINY_BYTES", 0)
    monkeypatch.setattr(segment_bounds, "_MOST_TABLES", 3)


def days(first: int, count: int) -> pd.DataFrame:
    """Rows of a log: the numbers and the days go up, the words do not."""
    number = np.arange(first, first + count)
    return pd.DataFrame(
        {
            "n": number,
            "day": datetime(2020, 1, 1) + pd.to_timedelta(number, unit="D"),
            "word": np.array(["a", "b"])[number % 2],
        }
    )


def payload_of(datasets: DatasetService, number: int | None = None) -> dict[str, Any]:
    return dict(datasets.catalogue.version(Reference("a", at=number)).payload)


def found(datasets: DatasetService, reference: str = "a", **query: Any) -> pd.DataFrame:
    reading = datasets.open(Reference.parse(reference, resource="dataset"), Query(**query))
    frame = decode_frame(reading.metadata.kind, reading.tables)
    assert isinstance(frame, pd.DataFrame)
    return frame


@contextmanager
def reads_of(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The ids of the payloads that are read meanwhile."""
    seen: list[str] = []
    read = world.blobs.read

    def noted(payload: str) -> Iterator[bytes]:
        seen.append(payload)
        return iter(read(payload))

    with monkeypatch.context() as patch:
        patch.setattr(world.blobs, "read", noted)
        yield seen


def read_by(world: World, monkeypatch: pytest.MonkeyPatch, **query: Any) -> tuple[list[int], int]:
    """The places of the segments that a query reads, and how many tables of bounds."""
    datasets = world.datasets()
    payload = payload_of(datasets)
    ids = [segment["id"] for segment in payload["segments"]]
    with reads_of(world, monkeypatch) as seen:
        found(datasets, **query)
    bounds = [part["id"] for part in payload.get("bounds", ())]
    assert set(seen) <= {*ids, *bounds}
    return [ids.index(id) for id in seen if id in ids], len([id for id in seen if id in bounds])


def test_a_filter_reads_the_segments_that_can_match(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.datasets().put("a", encode(days(0, 40)))
    assert len(payload_of(world.datasets())["segments"]) == 10
    for where, places in (
        ({"n": 7}, [1]),
        ({"n__in": [3, 39]}, [0, 9]),
        ({"n__between": [10, 13]}, [2, 3]),
        ({"n__gte": 36}, [9]),
        ({"day__lt": "2020-01-03"}, [0]),
        ({"n__lt": 8, "day__gte": "2020-01-05"}, [1]),
        # The first, so that the schema is known.
        ({"n": 100}, [0]),
        ({"word": "b"}, list(range(10))),
        ({"word__isnull": True}, [0]),
    ):
        assert read_by(world, monkeypatch, where=where) == (places, 1), where
    assert read_by(world, monkeypatch, filters=[("n", "7")]) == ([1], 1)
    assert read_by(world, monkeypatch, where={"n__gte": 8}, limit=3) == ([2], 1)
    assert read_by(world, monkeypatch, where={"n__gte": 8}, sort="-n", limit=3) == (list(range(2, 10)), 1)
    assert read_by(world, monkeypatch) == (list(range(10)), 0)
    assert read_by(world, monkeypatch, offset=21, limit=2) == ([5], 0)


def test_what_a_filter_finds_has_the_schema_of_the_frame(world: World) -> None:
    world.datasets().put("a", encode(days(0, 40)))
    for where in ({"n": 7}, {"n": 100}):
        for columns in (None, ["word"]):
            given = found(world.datasets(), where=where, columns=columns)
            whole = found(world.datasets(), columns=columns)
            pd.testing.assert_series_equal(given.dtypes, whole.dtypes)
            assert given.index.dtype == whole.index.dtype


def test_appends_add_bounds_once_they_make_a_segment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = world.datasets()
    datasets.put("a", encode(days(0, 8)))
    first = payload_of(datasets)["bounds"]
    assert (len(first), payload_of(datasets)["bounded"]) == (1, 2)
    datasets.put("a", encode(days(8, 2)))
    assert (payload_of(datasets)["bounds"], payload_of(datasets)["bounded"]) == (first, 2)
    assert read_by(world, monkeypatch, where={"n": 5}) == ([1, 2], 1)
    datasets.put("a", encode(days(10, 3)))
    assert (len(payload_of(datasets)["bounds"]), payload_of(datasets)["bounded"]) == (2, 4)
    assert read_by(world, monkeypatch, where={"n": 5}) == ([1], 2)
    for first_row in range(13, 53, 4):
        datasets.put("a", encode(days(first_row, 4)))
        assert len(payload_of(datasets)["bounds"]) < 3
    assert found(datasets)["n"].tolist() == list(range(53))
    assert len(read_by(world, monkeypatch, where={"n": 50})[0]) == 1
    assert len(read_by(world, monkeypatch, where={"n": 5})[0]) == 1


def test_segments_that_were_merged_get_bounds_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = world.datasets()
    datasets.put("a", encode(days(0, 5)))
    assert payload_of(datasets)["bounded"] == 2
    for first in (5, 6):
        datasets.put("a", encode(days(first, 1)))
    assert [segment["rows"] for segment in payload_of(datasets)["segments"]] == [4, 3]
    assert payload_of(datasets)["bounded"] == 1
    datasets.put("a", encode(days(7, 4)))
    assert read_by(world, monkeypatch, where={"n": 9}) == ([2], 2)


def without_bounds(world: World) -> None:
    """The frame as versions of omega without bounds have stored it."""
    datasets = world.datasets()
    version = datasets.catalogue.version(Reference("a"))
    key = f"version/{version.uid}/{version.metadata.version:012d}/{version.tip}"
    record = world.records.read(key)
    bare = {k: v for k, v in record.value["payload"].items() if k not in ("bounds", "bounded")}
    datasets.segments.remove(part["id"] for part in record.value["payload"]["bounds"])
    world.records.write(key, value={**record.value, "payload": bare}, expected=record.revision)


def test_a_frame_without_bounds_is_read_and_appended_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = world.datasets()
    datasets.put("a", encode(days(0, 40)))
    without_bounds(world)
    assert read_by(world, monkeypatch, where={"n": 7}) == (list(range(10)), 0)
    assert found(datasets, where={"n": 7})["n"].tolist() == [7]
    with reads_of(world, monkeypatch) as seen:
        datasets.put("a", encode(days(40, 4)))
    # What was there before is not read for it, and may hold anything.
    assert seen == []
    assert read_by(world, monkeypatch, where={"n": 100}) == (list(range(10)), 1)
    assert found(datasets, where={"n__in": [7, 41]})["n"].tolist() == [7, 41]


def test_every_payload_is_in_a_version_and_goes_with_it(world: World) -> None:
    datasets, named = world.datasets(), set()
    for number in range(1, 40):
        datasets.put("a", encode(days(number, 1 + number % 5)))
        payload = payload_of(datasets)
        named |= {part["id"] for part in [*payload["segments"], *payload.get("bounds", ())]}
        assert set(world.blobs.ids()) == named
    for number in range(1, 40):
        assert len(found(datasets, f"a@{number}", where={"n__gte": 0})) == len(found(datasets, f"a@{number}"))
    datasets.drop("a")
    assert list(world.blobs.ids()) == []


@pytest.mark.parametrize("at", range(3))
def test_a_store_that_is_full_keeps_nothing_of_an_append(
    world: World, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    datasets = world.datasets()
    for first in (0, 7, 14):
        datasets.put("a", encode(days(first, 7)))
    before, left, write = list(world.blobs.ids()), [at], world.blobs.write

    def full(id: str, *, chunks: Any) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise StoreFull("full")
        return int(write(id, chunks=chunks))

    with monkeypatch.context() as patch:
        patch.setattr(world.blobs, "write", full)
        with pytest.raises(StoreFull):
            datasets.put("a", encode(days(21, 7)))
    assert list(world.blobs.ids()) == before
    assert found(datasets)["n"].tolist() == list(range(21))


def test_an_append_that_fails_at_its_commit_leaves_the_bounds_of_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = world.datasets()
    datasets.put("a", encode(days(0, 8)))

    def full(key: str, **options: Any) -> Any:
        raise StoreFull("full")

    with monkeypatch.context() as patch:
        patch.setattr(world.records, "write", full)
        with pytest.raises(StoreFull):
            datasets.put("a", encode(days(8, 8)))
    assert found(datasets, where={"n": 7})["n"].tolist() == [7]


def test_bounds_that_are_damaged_are_damage(world: World) -> None:
    datasets = world.datasets()
    datasets.put("a", encode(days(0, 40)))
    (part,) = payload_of(datasets)["bounds"]
    world.blobs.remove(part["id"])
    with pytest.raises(BlobNotFound):
        world.blobs.read(part["id"])
    with pytest.raises(Corrupt, match=f"version 1 of dataset 'a' is damaged: segment {part['id']}"):
        found(datasets, where={"n": 7})
    assert len(found(datasets)) == 40


_WORDS = st.none() | st.text("ab\U0010ffff", max_size=2)
_COLUMNS: dict[str, list[tuple[Any, st.SearchStrategy[Any]]]] = {
    # What may be appended to what, and the type that it makes of it.
    "number": [
        ("int64", st.integers(-9, 9)),
        ("float64", st.sampled_from([0.5, -0.0, 7.0, float("nan"), float("inf")])),
        ("Int64", st.none() | st.integers(-9, 9)),
    ],
    "word": [("str", _WORDS), ("object", _WORDS)],
    "mixed": [("object", _WORDS), ("object", st.none() | st.integers(0, 3) | st.text("ab", max_size=1))],
    "moment": [("datetime64[us]", st.none() | st.integers(0, 9).map(lambda n: datetime(2020, 1, 1 + n)))],
    "zoned": [
        (
            "datetime64[us, Europe/Berlin]",
            st.none() | st.integers(0, 9).map(lambda n: pd.Timestamp(2020, 1, 1 + n, tz="UTC")),
        )
    ],
    "time": [("timedelta64[us]", st.none() | st.integers(0, 9).map(lambda n: timedelta(n)))],
    "kind": [(pd.CategoricalDtype(["b", "a", "c"], ordered=True), st.none() | st.sampled_from("abc"))],
}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_bounds_change_nothing_of_what_is_found(data: st.DataObject) -> None:
    """Puts of many types, appended in any order and size, against the same without bounds."""
    datasets = World().datasets()
    name = data.draw(st.sampled_from(sorted(_COLUMNS)))
    for _ in range(data.draw(st.integers(1, 6))):
        dtype, value = data.draw(st.sampled_from(_COLUMNS[name]))
        values = data.draw(st.lists(value, max_size=9))
        values = sorted(values, key=repr) if data.draw(st.booleans()) else values
        try:
            datasets.put("a", encode(pd.DataFrame({"x": pd.Series(values, dtype=dtype)})))
        except BadInput:
            continue
    version = datasets.catalogue.peek("a")
    if version is None:
        return
    payload = payload_of(datasets)
    schema = datasets.segments.schema(payload, of="a")
    operator = data.draw(st.sampled_from(["eq", "ne", "lt", "gte", "in", "isnull", "startswith", "contains"]))
    given_value = data.draw(
        st.booleans()
        if operator == "isnull"
        else st.lists(value.filter(lambda v: v is not None), max_size=2)
        if operator == "in"
        else value
    )
    try:
        where = tabular.conditions_python(schema, {f"x__{operator}": given_value})
    except BadInput:
        return
    bare = {key: part for key, part in payload.items() if key != "bounds"}
    offset, limit = data.draw(st.integers(0, 3)), data.draw(st.none() | st.integers(0, 3))
    with_bounds, without = (
        list(datasets.segments.read(p, of="a", where=where, offset=offset, limit=limit))
        for p in (payload, bare)
    )
    assert len(with_bounds) == len(without)
    for one, other in zip(with_bounds, without, strict=True):
        # An empty result has the metadata of the first segment that is read, as far as the index has its own.
        assert one.schema.equals(other.schema, check_metadata=one.num_rows > 0)
        assert [repr(v) for v in one["x"].to_pylist()] == [repr(v) for v in other["x"].to_pylist()]
        assert one["__index_0__"].equals(other["__index_0__"])
