import io
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omega.domain import tabular
from omega.domain.errors import BadInput, TooLarge
from omega.entrypoints import formats
from omega.entrypoints.limits import Limits
from tests.support.frames import LIMITS, decoded, encoded
from tests.unit.domain.tabular.frames import assert_same

SMALL = Limits(decoded_bytes=1 << 20)
FRAME = pd.DataFrame(
    {
        "i": [1, 2, 3],
        "s": ["a", None, "c"],
        "c": pd.Categorical(["x", "y", "x"]),
        "d": pd.date_range("2020", periods=3, tz="UTC"),
        "o": pd.Series([[1], None, "q"], dtype=object),
        "n": pd.array([1, None, 3], dtype="Int64"),
        "b": [True, False, True],
    },
    index=pd.MultiIndex.from_arrays([[1, 2, 3], ["a", "b", "c"]]),
)
FOREIGN = pa.table(
    {
        "l": [["a"], [], None],
        "st": [{"a": 1, "b": "x"}] * 3,
        "m": pa.array([[("k", 1)]] * 3, pa.map_(pa.string(), pa.int64())),
        "sv": pa.array(["a" * 20, None, "b"], pa.string_view()),
        "dec": pa.array([1, 2, 3], pa.decimal128(10, 2)),
        "dict": pa.array(["a", "b", "a"]).dictionary_encode(),
    }
)


def ipc(table: pa.Table, compression: str | None = None, *, file: bool = False) -> bytes:
    sink = io.BytesIO()
    new = pa.ipc.new_file if file else pa.ipc.new_stream
    with new(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def repeated(text: str, times: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(times, dtype="i4")), pa.array([text]))


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("file", [False, True])
def test_arrow_streams_and_files_are_read(compression: str | None, file: bool) -> None:
    table = tabular.from_pandas(FRAME)
    assert_same(decoded("arrow", ipc(table, compression, file=file)), FRAME)


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "lz4", "zstd"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_parquet_of_every_kind_of_page_is_read(compression: str, version: str) -> None:
    table = pa.table({"s": [f"t{i}" * (i % 50) for i in range(2000)], "l": [[i, None] for i in range(2000)]})
    for options in (
        {},
        {"use_dictionary": False},
        {"use_dictionary": False, "column_encoding": {"s": "DELTA_BYTE_ARRAY"}},
        {"use_dictionary": False, "column_encoding": {"s": "DELTA_LENGTH_BYTE_ARRAY"}},
    ):
        body = parquet(
            table, compression=compression, data_page_version=version, row_group_size=700, **options
        )
        # Also where what it decodes to must be measured.
        for limits in (LIMITS, Limits(decoded_bytes=400_000)):
            got = decoded("parquet", body, limits=limits)
            assert got["s"].tolist() == table["s"].to_pylist()
            assert [list(v) for v in got["l"]] == table["l"].to_pylist()


def test_what_others_write_is_read() -> None:
    for name, body in (("arrow", ipc(FOREIGN)), ("parquet", parquet(FOREIGN))):
        got = decoded(name, body)
        assert got["sv"].tolist()[0] == "a" * 20 and got["dict"].tolist() == ["a", "b", "a"]
        assert list(got["l"][0]) == ["a"] and str(got["dec"][0]) == "1.00"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cut short, or has no end-of-stream marker"),
        (b"hello, this is no arrow", "does not start with its marker"),
        (ipc(FOREIGN)[:-8], "cut short, or has no end-of-stream marker"),
        (ipc(FOREIGN)[:-20], "cut short"),
        (ipc(FOREIGN)[:100], "cut short"),
        (ipc(FOREIGN) + b"x", "bytes after its end"),
        (b"\xff\xff\xff\xff" + struct.pack("<i", 1 << 30), "claims 1,073,741,824 bytes of metadata"),
        (b"\xff\xff\xff\xff" + struct.pack("<i", -5), "claims -5 bytes of metadata"),
        (b"\xff\xff\xff\xff" + struct.pack("<i", 64) + b"\xff" * 64, "metadata of a message is malformed"),
        (parquet(FOREIGN), "does not start with its marker"),
    ],
)
def test_what_is_no_arrow_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        decoded("arrow", body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cut short, or something else"),
        (b"PAR1" * 5, "its metadata is cut short, or too long"),
        (parquet(FOREIGN)[:-5], "cut short, or something else"),
        (parquet(FOREIGN)[10:], "not valid Parquet"),
        (parquet(FOREIGN)[:-4] + b"PARE", "encrypted"),
        (b"PAR1" + b"\x00" * 20 + struct.pack("<I", 10) + b"PAR1", "its metadata lacks a part"),
        (ipc(FOREIGN), "cut short, or something else"),
    ],
)
def test_what_is_no_parquet_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        decoded("parquet", body)


def list_view() -> pa.Table:
    sizes, offsets = pa.array([1000] * 1000, pa.int32()), pa.array([0] * 1000, pa.int32())
    return pa.table({"x": pa.ListViewArray.from_arrays(offsets, sizes, pa.array(range(1000)))})


def string_views() -> pa.Table:
    one = pa.array(["x" * 5000], pa.string_view()).buffers()
    views = pa.py_buffer(one[1].to_pybytes() * 1000)
    return pa.table({"x": pa.Array.from_buffers(pa.string_view(), 1000, [None, views, *one[2:]])})


def null_lists() -> pa.Table:
    return pa.table({"x": pa.FixedSizeListArray.from_arrays(pa.nulls(2**31 - 2), 2**30 - 1)})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ipc(pa.table({"x": np.zeros(200_000)}), "zstd"), "takes over 1,048,576 bytes when decoded"),
        (lambda: ipc(pa.table({"x": np.zeros(200_000)}), "lz4"), "when decoded"),
        (lambda: ipc(pa.table({"x": repeated("x" * 5000, 1000)})), "when decoded"),
        (lambda: ipc(string_views()), "when decoded"),
        (lambda: ipc(null_lists()), "when decoded"),
        (lambda: ipc(pa.table({"x": pa.nulls(21_000_000)})), "over the limit of 20,000,000"),
        (
            lambda: ipc(pa.table({f"c{i}": [1] for i in range(10_001)})),
            "10,001 columns are over the limit of 10,000",
        ),
    ],
)
def test_arrow_bombs_are_too_large(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(TooLarge, match=words):
        decoded("arrow", make(), limits=SMALL)


def test_lists_that_share_their_values_are_refused() -> None:
    with pytest.raises(BadInput, match=r"column 'x' is of Arrow type list_view.*cast it to a plain type"):
        decoded("arrow", ipc(list_view()))


def test_a_message_cannot_claim_more_than_a_body_may_have() -> None:
    with pytest.raises(TooLarge, match=r"a message claims a body of .* \(body_bytes\)"):
        decoded("arrow", ipc(pa.table({"x": np.zeros(10_000)})), limits=Limits(body_bytes=50_000))
    with pytest.raises(TooLarge, match="body_bytes"):
        decoded("parquet", parquet(FOREIGN), limits=Limits(body_bytes=500))


PARQUET_BOMBS: dict[str, Callable[[], bytes]] = {
    "dictionary": lambda: parquet(pa.table({"x": repeated("x" * 50_000, 1_000_000)}), compression="zstd"),
    "pages": lambda: parquet(pa.table({"x": np.zeros(8_000_000)}), compression="zstd", use_dictionary=False),
    "runs": lambda: parquet(pa.table({"x": np.zeros(8_000_000)})),
    "difference": lambda: parquet(
        pa.table({"x": ["x" * 50_000] * 2000}),
        compression="none", use_dictionary=False, column_encoding={"x": "DELTA_BYTE_ARRAY"},
    ),
    "nested": lambda: parquet(pa.table({"x": [["x" * 2000] * 40_000]})),
    "fixed": lambda: parquet(pa.table({"x": pa.array([b"x" * 1000] * 70_000, pa.binary(1000))})),
}  # fmt: skip

CHILD = """
import sys
from omega.domain.errors import TooLarge
from omega.entrypoints import formats
from omega.entrypoints.limits import Limits
status = lambda key: next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(key))
before = status("VmRSS")
for name in sys.argv[1:]:
    try:
        formats.decode(formats.FORMATS["parquet"], open(name, "rb"), limits=Limits(decoded_bytes=64 << 20))
    except TooLarge as error:
        print(error, file=sys.stderr)
print(status("VmHWM") - before)
"""


def test_parquet_bombs_are_refused_in_bounded_memory(tmp_path: Path) -> None:
    for name, make in PARQUET_BOMBS.items():
        (tmp_path / name).write_bytes(make())
        assert (tmp_path / name).stat().st_size < 400_000
    # The peak is that of a process of its own: this one has had other things in memory.
    command = [sys.executable, "-c", CHILD, *(str(tmp_path / name) for name in PARQUET_BOMBS)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    words = "the content takes over 67,108,864 bytes when decoded, the limit (decoded_bytes)"
    assert found.stderr.splitlines() == [words] * len(PARQUET_BOMBS)
    assert int(found.stdout) < 48 * 1024


def test_text_that_repeats_is_held_once(tmp_path: Path) -> None:
    # 200 MB of text in a few hundred bytes, within the limit.
    (tmp_path / "x").write_bytes(parquet(pa.table({"x": ["x" * 1_000_000] * 200}), compression="zstd"))
    child = CHILD.replace("64 << 20", "256 << 20")
    found = subprocess.run(
        [sys.executable, "-c", child, str(tmp_path / "x")], capture_output=True, text=True, check=True
    )
    assert found.stderr == ""
    assert 200_000_000 // 1024 < int(found.stdout) + 8 * 1024 < 240_000_000 // 1024


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_folded_text_comes_back_in_its_type_and_order(kind: pa.DataType, monkeypatch: Any) -> None:
    monkeypatch.setattr("omega.entrypoints.formats.parquet._FOLDED_BYTES", 0)
    monkeypatch.setattr("omega.entrypoints.formats.parquet._PART_BYTES", 30)
    texts = pa.array(["a" * 10, None, "b" * 40, "", "a" * 10, "c"] * 3).cast(kind)
    table = pa.table({"n": range(18), "x": texts, "y": texts})
    whole = formats.decode(formats.FORMATS["parquet"], io.BytesIO(parquet(table)), limits=LIMITS)
    assert whole.column("x").cast(kind).to_pylist() == texts.to_pylist()
    assert whole.column("y").num_chunks > 1
    assert whole.equals(tabular.adopt(table))


def test_text_that_repeats_is_read_where_it_is_within_the_limit() -> None:
    texts = ["x" * 1000, *("y" for _ in range(3000))]
    table = pa.table({"x": pa.array(texts)})
    for options in ({}, {"use_dictionary": False, "column_encoding": {"x": "DELTA_BYTE_ARRAY"}}):
        got = decoded("parquet", parquet(table, **options), limits=Limits(decoded_bytes=100_000))
        assert got["x"].tolist() == texts


def test_parquet_shapes_are_limited() -> None:
    wide = parquet(pa.table({f"c{i}": [1] for i in range(30)}))
    with pytest.raises(TooLarge, match="30 columns are over the limit of 20"):
        decoded("parquet", wide, limits=Limits(columns=20))
    struct_column = pa.array([{f"c{i}": 1 for i in range(30)}])
    with pytest.raises(TooLarge, match="30 columns are over the limit of 20"):
        decoded("parquet", parquet(pa.table({"x": struct_column})), limits=Limits(columns=20))
    with pytest.raises(TooLarge, match="3 rows are over the limit of 2"):
        decoded("parquet", parquet(FOREIGN), limits=Limits(rows=2))
    deep: Any = 1
    for _ in range(70):
        deep = [deep]
    with pytest.raises(BadInput, match="nested over 64 deep"):
        decoded("parquet", parquet(pa.table({"x": [deep]})))


def bodies() -> list[tuple[str, bytes]]:
    options: list[dict[str, Any]] = [
        {"compression": "snappy"},
        {"compression": "zstd", "data_page_version": "2.0"},
        {"compression": "none", "use_dictionary": False},
    ]
    return [
        *(("arrow", body) for body in (encoded("arrow", FRAME), ipc(FOREIGN), ipc(FOREIGN, "zstd"))),
        ("arrow", ipc(FOREIGN, "lz4", file=True)),
        ("parquet", encoded("parquet", FRAME)),
        *(("parquet", parquet(FOREIGN, **chosen)) for chosen in options),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_damaged_bodies_are_refused_or_make_a_valid_table(seed: int) -> None:
    rng = random.Random(seed)
    sources = bodies()
    refused = 0
    for _ in range(100):
        name, body = rng.choice(sources)
        damaged = bytearray(body)
        for _ in range(rng.choice([1, 1, 2, 5])):
            place = rng.randrange(len(damaged))
            if name == "parquet" and rng.random() < 0.3:
                place = len(damaged) - 1 - int(rng.random() ** 2 * min(800, len(damaged) - 1))
            damaged[place] = rng.choice(
                [rng.randrange(256), 0, 255, damaged[place] ^ (1 << rng.randrange(8))]
            )
        if rng.random() < 0.1:
            del damaged[rng.randrange(len(damaged)) :]
        try:
            table = formats.decode(formats.FORMATS[name], io.BytesIO(bytes(damaged)), limits=SMALL)
        except (BadInput, TooLarge) as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 600
        else:
            table.validate(full=True)
            tabular.to_pandas(table)
    assert refused > 20
