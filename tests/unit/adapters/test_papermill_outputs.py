"""Outputs stay within their bounds, whatever a kernel sends, and what fits is kept as it is."""

import json
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega.adapters.papermill_notebooks.outputs import OutputBudget, one_line, output_of, size_of
from tests.support.notebooks import code, notebook

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=10,
)
TEXT = st.text(st.sampled_from("ab\n\r\x00\x1bü😀\ud800"), max_size=60) | st.text(max_size=60)
MEDIA = st.sampled_from(["text/plain", "text/html", "image/png", "application/json", "application/x+json"])
MESSAGE = st.one_of(
    st.tuples(
        st.just("stream"),
        st.fixed_dictionaries({"name": st.sampled_from(["stdout", "stderr"]), "text": TEXT}),
    ),
    st.tuples(st.just("display_data"), st.fixed_dictionaries({"data": st.dictionaries(MEDIA, JUNK | TEXT)})),
    st.tuples(
        st.sampled_from(["stream", "display_data", "execute_result", "error"]),
        st.dictionaries(
            st.sampled_from(["name", "text", "data", "metadata", "ename", "evalue", "traceback"]), JUNK
        ),
    ),
    st.just(("clear", {})),
)


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def display(value: str, media: str = "text/plain") -> dict[str, Any]:
    return {"output_type": "display_data", "data": {media: value}, "metadata": {}}


def added(*outputs: dict[str, Any], output_bytes: int = 1000, notebook_bytes: int = 10_000) -> list[Any]:
    kept: list[Any] = []
    budget = OutputBudget(output_bytes, notebook_bytes)
    for output in outputs:
        budget.add(kept, output, cell=0)
    return kept


@given(messages=st.lists(st.tuples(st.integers(0, 2), MESSAGE), max_size=40))
def test_whatever_comes_is_valid_and_bounded(messages: list[tuple[int, tuple[str, Any]]]) -> None:
    budget = OutputBudget(300, 1500)
    cells: list[list[Any]] = [[], [], []]
    for cell, (kind, content) in messages:
        if kind == "clear":
            cells[cell].clear()
            budget.clear(cell)
        elif output := output_of(kind, content):
            held = len(cells[cell])
            is_last = budget.add(cells[cell], output, cell=cell)
            assert len(cells[cell]) <= held + 1
            assert not is_last or len(cells[cell]) > 0
    document = notebook(*(code("", outputs=outputs) for outputs in cells))
    nbformat.validate(nbformat.from_dict(document))
    text = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    errors = sum(size_of(o) for outputs in cells for o in outputs if o["output_type"] == "error")
    assert len(text) < 1500 + errors + 3 * 200 + 40 * 120 + 1000


@given(texts=st.lists(st.text(st.sampled_from("ab\nü\t"), max_size=20)))
def test_a_stream_is_one_output_and_whole(texts: list[str]) -> None:
    kept = added(*map(stream, texts), output_bytes=10_000)
    assert "".join(output["text"] for output in kept) == "".join(texts)
    assert len(kept) <= 1


def test_streams_of_two_names_alternate() -> None:
    kept = added(stream("a"), stream("b", "stderr"), stream("c", "stderr"), stream("d"))
    assert [(output["name"], output["text"]) for output in kept] == [
        ("stdout", "a"),
        ("stderr", "bc"),
        ("stdout", "d"),
    ]


def test_a_stream_that_is_too_large_keeps_its_beginning_and_says_so() -> None:
    (kept,) = added(*[stream("line\n")] * 1000)
    assert kept["text"].startswith("line\nline\n")
    assert kept["text"].endswith("\n[the rest is left out: the limit for an output is 0.000954 MiB]\n")
    assert 900 < size_of(kept["text"]) < 1100


@pytest.mark.parametrize("character", ["x", "ü", "😀", "\x00", "\n", "\x1b", '"', "\ud800"])
def test_sizes_are_those_of_json(character: str) -> None:
    for output in (stream(character * 5000), display(character * 5000), display(character * 150)):
        made = output_of(output["output_type"], output)
        assert made is not None
        kept = added(made)
        assert len(json.dumps(kept, ensure_ascii=False).encode()) < 1400


def test_the_bytes_of_a_notebook_are_bounded_and_each_cell_says_so_once() -> None:
    budget = OutputBudget(1000, 2500)
    cells: list[list[Any]] = [[], [], []]
    for cell, outputs in enumerate(cells):
        for _ in range(5):
            budget.add(outputs, display("x" * 700), cell=cell)
            budget.add(outputs, stream("y" * 700), cell=cell)
    assert [len(outputs) for outputs in cells] == [4, 1, 1]
    assert all("more output is left out" in outputs[-1]["text"] for outputs in cells)


def test_an_error_is_kept_where_there_is_no_room() -> None:
    error = output_of("error", {"ename": "E", "evalue": "v" * 20_000, "traceback": ["t" * 90_000, "last"]})
    assert error is not None
    kept = added(*[display("x" * 900)] * 20, error, dict(error))
    assert [output["output_type"] for output in kept[-2:]] == ["stream", "error"]
    assert kept[-1]["traceback"][-1].endswith("last")
    assert size_of(kept[-1]) < 2500
    assert 40_000 < size_of(added(error, output_bytes=10, notebook_bytes=100_000)[0]) < 42_000


def test_a_representation_that_is_too_large_goes_and_the_others_stay() -> None:
    output = display("x" * 2000, "image/png")
    output["data"]["text/plain"] = "a figure"
    (kept,) = added(output)
    assert set(kept["data"]) == {"text/plain"}
    assert "a figure" in kept["data"]["text/plain"] or "image/png of" in kept["data"]["text/plain"]


def test_what_a_carriage_return_overwrites_is_gone() -> None:
    kept = added(*[stream(f"\r{n}%") for n in range(5000)], stream("\nnext"), stream("a\r\nb"), stream("\r"))
    assert kept[0]["text"] == "4999%\nnexta\nb\r"
    kept = added(stream("abc\r"), stream("\ndef\r"), stream("g\n"))
    assert kept[0]["text"] == "abc\ng\n"


def test_cleared_outputs_give_their_room_back() -> None:
    budget, kept = OutputBudget(1000, 1500), list[Any]()
    for _ in range(50):
        assert budget.add(kept, display("x" * 900), cell=1)
        kept.clear()
        budget.clear(1)
    assert budget.add(kept, display("x" * 900), cell=1)
    assert not budget.add(kept, display("x" * 900), cell=1)


def test_updates_count_for_all_the_places_that_show_them() -> None:
    budget, kept = OutputBudget(1000, 5000), list[Any]()
    for _ in range(10):
        budget.add(kept, display("x"), cell=1)
    places = [(1, output) for output in kept]
    budget.replace(places, display("y" * 900))
    assert kept[0]["data"] == {"text/plain": "x"}
    for n in range(100):
        budget.replace(places, display(f"{n:03}" * 130))
    assert kept[9]["data"] == {"text/plain": "099" * 130}
    assert not budget.add(kept, display("x" * 990), cell=2)
    budget.replace(places, display("z"))
    assert budget.add(kept, display("x" * 990), cell=3)


def test_one_line() -> None:
    assert one_line("\x1b[31ma\x1b[0m\n  b\t", 10) == "a b"
    assert one_line("x" * 100, 10) == "xxxxxxx..."
