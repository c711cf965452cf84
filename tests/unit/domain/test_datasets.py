import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from omega.domain import segments
from omega.domain.contents import decode_frame, encode
from omega.domain.datasets import Query
from omega.domain.errors import BadInput, Conflict, Corrupt, NotFound
from omega.domain.names import Reference
from tests.support.services import World

FRAME = pd.DataFrame({"x": range(10), "s": list("abcdefghij")})


@pytest.fixture
def world():
    return World()


def read(datasets, name="a", query=None):
    reading = datasets.open(Reference.parse(name, resource="dataset"), query or Query())
    return decode_frame(reading.metadata.kind, reading.tables)


@pytest.fixture
def small_segments(monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT_ROWS", 3)


@pytest.mark.usefixtures("small_segments")
def test_a_frame_in_many_segments_is_one_frame(world):
    datasets = world.datasets()
    datasets.put("a", encode(FRAME))
    datasets.put("a", encode(FRAME.iloc[:2]))
    assert [len(stored(datasets, n)["segments"]) for n in (1, 2)] == [4, 4]
    pd.testing.assert_frame_equal(read(datasets), pd.concat([FRAME, FRAME.iloc[:2]]))
    pd.testing.assert_frame_equal(read(datasets, query=Query(offset=4, limit=3)), FRAME.iloc[4:7])
    page = read(datasets, query=Query(where={"x__gte": 2}, sort="-x", offset=1, limit=2, columns=["s"]))
    assert page["s"].tolist() == ["i", "h"]


def test_wide_rows_make_smaller_segments(world, monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1000)
    datasets = world.datasets()
    frame = pd.DataFrame({"s": ["x" * 300] * 10})
    datasets.put("a", encode(frame))
    assert len(list(world.blobs.ids())) > 3
    pd.testing.assert_frame_equal(read(datasets), frame)


def test_missing_and_changed_segments_are_named(world):
    datasets = world.datasets()
    datasets.put("a", encode(FRAME))
    datasets.put("b", encode(FRAME))
    (id, _) = world.blobs.ids()
    payload = b"".join(world.blobs.read(id))
    world.blobs.remove(id)
    with pytest.raises(Corrupt, match="version 1 of dataset 'a' is damaged"):
        read(datasets)
    world.blobs.write(id, chunks=[payload[:-9] + b"x" + payload[-8:]])
    with pytest.raises(Corrupt, match="version 1 of dataset 'a' is damaged"):
        read(datasets)
    pd.testing.assert_frame_equal(read(datasets, "b"), FRAME)


@pytest.mark.usefixtures("small_segments")
def test_a_dataset_that_is_dropped_while_it_is_read_is_not_found(world):
    datasets = world.datasets()
    datasets.put("a", encode(FRAME))
    reading = datasets.open(Reference("a"))
    datasets.drop("a")
    with pytest.raises(NotFound):
        list(reading.tables)


def test_a_reader_keeps_its_version_while_others_write(world):
    datasets = world.datasets()
    datasets.put("a", encode(FRAME))
    reading = datasets.open(Reference("a"))
    datasets.put("a", encode(FRAME.iloc[:1]), append=False)
    pd.testing.assert_frame_equal(decode_frame(reading.metadata.kind, reading.tables), FRAME)


def test_a_refused_append_leaves_nothing_behind(world):
    datasets = world.datasets()
    datasets.put("a", encode(FRAME))
    before = list(world.blobs.ids())
    for bad in (FRAME.rename(columns={"x": "z"}), FRAME.assign(x="text"), FRAME.assign(s=1.5)):
        with pytest.raises(BadInput):
            datasets.put("a", encode(bad))
    with pytest.raises(Conflict, match="cannot append"):
        datasets.put("a", encode([1]))
    assert list(world.blobs.ids()) == before
    assert datasets.metadata(Reference("a")).version == 1


def test_categories_are_checked_against_those_stored(world):
    datasets = world.datasets()
    frame = pd.DataFrame({"c": pd.Categorical(["lo", "hi"], categories=["lo", "mid", "hi"], ordered=True)})
    datasets.put("a", encode(frame))
    datasets.put("a", encode(pd.DataFrame({"c": pd.Categorical(["mid"])})))
    got = read(datasets)["c"]
    assert got.tolist() == ["lo", "hi", "mid"]
    assert got.dtype == frame["c"].dtype
    with pytest.raises(BadInput, match="'c'"):
        datasets.put("a", encode(pd.DataFrame({"c": pd.Categorical(["extreme"])})))


def test_a_replaced_frame_may_have_other_columns(world):
    datasets = world.datasets()
    datasets.put("a", encode(FRAME))
    datasets.put("a", encode(pd.Series([1.5], name="n")), append=False)
    pd.testing.assert_series_equal(read(datasets), pd.Series([1.5], name="n"))
    pd.testing.assert_frame_equal(read(datasets, "a@1"), FRAME)


def test_unknown_columns_of_reference_and_query(world):
    datasets = world.datasets()
    datasets.put("a", encode(FRAME))
    assert list(read(datasets, "a[x,s]", Query(columns=["s"])).columns) == ["s"]
    with pytest.raises(BadInput, match="'s'"):
        read(datasets, "a[x]", Query(columns=["s"]))
    with pytest.raises(BadInput, match="no column is left"):
        read(datasets, query=Query(columns=[]))
    with pytest.raises(BadInput, match="unknown columns 'q'"):
        read(datasets, query=Query(columns=["q"]))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(5, dtype="int8"),
        np.zeros((0, 3), dtype="float32"),
        np.array(["a", "ü"]),
        np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"),
        np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([np.nan, -0.0, np.inf]),
        np.arange(10)[::2],
        np.array([1 + 2j]),
    ],
)
def test_arrays_come_back_equal(world, array):
    from omega.domain.contents import decode_bytes

    world.datasets().put("n", encode(array))
    reading = world.datasets().open(Reference("n"))
    got = decode_bytes(reading.metadata.kind, reading.chunks)
    assert got.dtype == array.dtype and got.shape == array.shape
    assert got.tobytes() == array.tobytes()
    assert got.flags.writeable


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.array([object()]), "Python objects"),
        (np.ma.array([1]), "MaskedArray"),
        (object(), "type object"),
        (5, "type int"),
        ({"a": {1, object()}}, "object"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a'"),
    ],
)
def test_what_cannot_be_kept_is_refused(world, value, words):
    with pytest.raises(BadInput, match=words):
        encode(value)


def test_many_small_appends_make_few_segments(world):
    datasets = world.datasets()
    most = 0
    for number in range(300):
        datasets.put("a", encode(pd.DataFrame({"x": [number]})))
        version = datasets.catalogue.version(Reference("a"))
        most = max(most, len(version.payload["segments"]))
        assert version.metadata.attributes["rows"] == number + 1
    assert most <= 3 * segments.FAN_IN
    assert read(datasets)["x"].tolist() == list(range(300))
    for number in (1, 15, 16, 17, 100, 256, 257):
        assert read(datasets, f"a@{number}")["x"].tolist() == list(range(number))
    named = {s["id"] for n in range(1, 301) for s in stored(datasets, n)["segments"]}
    assert set(world.blobs.ids()) == named
    # What was merged is stored once, and of a frame that is small no more than its rows many times over.
    assert len(named) == 300
    largest = max(stored(datasets, 300)["segments"], key=lambda segment: segment["rows"])
    batches = list(pa.ipc.open_stream(b"".join(world.blobs.read(largest["id"]))))
    assert [batch.num_rows for batch in batches] == [largest["rows"]]
    datasets.drop("a")
    assert list(world.blobs.ids()) == []


def stored(datasets, number):
    return datasets.catalogue.version(Reference("a", at=number)).payload


@pytest.mark.usefixtures("small_segments")
def test_merges_keep_to_the_size_of_segments(world, monkeypatch):
    monkeypatch.setattr(segments, "FAN_IN", 2)
    datasets = world.datasets()
    for number in range(20):
        datasets.put("a", encode(pd.DataFrame({"x": [number]})))
    assert read(datasets)["x"].tolist() == list(range(20))
    assert max(s["rows"] for s in stored(datasets, 20)["segments"]) <= 3


def test_merging_after_widening(world):
    datasets = world.datasets()
    for number in range(10):
        datasets.put("a", encode(pd.DataFrame({"x": [number]})))
    for number in range(10, 40):
        datasets.put("a", encode(pd.DataFrame({"x": [number + 0.5]})))
    expected = [*map(float, range(10)), *(n + 0.5 for n in range(10, 40))]
    assert read(datasets)["x"].tolist() == expected
    assert read(datasets, "a@10")["x"].dtype == "int64"


@pytest.mark.usefixtures("small_segments")
def test_segments_hold_only_the_categories_in_use(world):
    names = [f"category number {n}" for n in range(2000)]
    frame = pd.DataFrame({"c": pd.Categorical([*names[:7], None], categories=names[::-1], ordered=True)})
    datasets = world.datasets()
    datasets.put("a", encode(frame))
    datasets.put("a", encode(pd.DataFrame({"c": [names[1999]]})))
    expected = pd.DataFrame({"c": pd.Categorical([*names[:7], None, names[1999]], dtype=frame["c"].dtype)})
    pd.testing.assert_frame_equal(read(datasets).reset_index(drop=True), expected)
    page = read(datasets, query=Query(where={"c__in": [names[3], names[1999]]}, sort="c"))
    assert page["c"].tolist() == [names[1999], names[3]]
    assert all(s["size_bytes"] < 5000 for s in stored(datasets, 2)["segments"])


def test_a_long_schema_is_kept_once(world):
    names = [f"category number {n}" for n in range(2000)]
    frame = pd.DataFrame({"c": pd.Categorical(names[:2], categories=names), "x": [1, 2]})
    datasets = world.datasets()
    datasets.put("a", encode(frame))
    datasets.put("a", encode(frame))
    assert stored(datasets, 1)["schema"] == stored(datasets, 2)["schema"]
    assert isinstance(stored(datasets, 1)["schema"], dict)
    assert len(str(stored(datasets, 2))) < 2000
    datasets.put("a", encode(frame.assign(x=0.5)))
    pd.testing.assert_frame_equal(read(datasets, "a@2"), pd.concat([frame, frame]))
    assert read(datasets)["x"].tolist() == [1, 2, 1, 2, 0.5, 0.5]
    datasets.drop("a")
    assert list(world.blobs.ids()) == []
