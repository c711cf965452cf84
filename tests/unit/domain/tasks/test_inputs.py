"""The data that calls bring with them."""

import numpy as np
import pandas as pd
import pytest

from omega.domain.errors import Corrupt
from omega.domain.features import as_features
from omega.domain.tasks import FAILURE, REVOKED, SUCCESS
from omega.ports.records import StoreFull
from tests.unit.domain.tasks.hands import (
    X,
    blobs,
    carry_out,
    claim,
    keys,
    lapse,
    nth,
    state,
    submit_fit,
)

FRAME = pd.DataFrame(
    {
        "i": pd.array([1, None, 3], dtype="Int64"),
        "t": ["a", None, "c"],
        "c": pd.Categorical(["x", "y", "x"], ordered=True),
        "d": pd.to_datetime(["2026-01-01", None, "2026-01-03"], utc=True),
        "f": [0.1, -0.0, np.inf],
    }
)
WIDE = pd.DataFrame(np.zeros((2, 400)), columns=[f"a long name of a column {n}" for n in range(400)])


@pytest.mark.parametrize(
    "value",
    [FRAME, FRAME.iloc[:0], WIDE, FRAME["t"], np.arange(6.0).reshape(3, 2), [[1, 2], [3, 4]]],
    ids=["frame", "empty", "wide", "series", "array", "list"],
)
def test_what_is_put_is_got_equal(world, value):
    before = blobs(world)
    inputs, put = world.inputs(), as_features(value, source="datax")
    kept = inputs.put({"datax": put, "datay": None, "other": "sample[x]"})
    got = inputs.get(kept)
    assert got["datay"] is None and got["other"] == "sample[x]"
    assert got["datax"].table.equals(put.table, check_metadata=True)
    assert (got["datax"].named, got["datax"].source) == (put.named, put.source)
    inputs.remove(kept)
    assert blobs(world) == before
    inputs.remove(kept)


def test_a_schema_that_is_stored_by_itself_is_removed_too(world):
    before = blobs(world)
    kept = world.inputs().put({"datax": as_features(WIDE, source="datax")})
    assert isinstance(kept["datax"]["schema"], dict)
    assert len(blobs(world) - before) == 2
    world.inputs().remove(kept)
    assert blobs(world) == before


def test_a_table_of_many_rows_is_split(world):
    big = as_features(np.zeros((300_000, 1)), source="datax")
    before = blobs(world)
    kept = world.inputs().put({"datax": big})
    assert len(kept["datax"]["segments"]) > 1
    assert world.inputs().get(kept)["datax"].table.equals(big.table)
    world.inputs().remove(kept)
    assert blobs(world) == before


@pytest.mark.parametrize("change", range(5))
def test_what_finds_no_room_leaves_nothing(world, steps, change):
    before = blobs(world)
    many = {
        "datax": as_features(np.zeros((300_000, 1)), source="datax"),
        "wide": as_features(WIDE, source="wide"),
    }
    steps.trouble(nth(change), StoreFull("no room"))
    with pytest.raises(StoreFull):
        world.inputs().put(many)
    assert blobs(world) == before


def test_data_that_is_damaged_is_named(world):
    kept = world.inputs().put({"datax": X})
    for id in blobs(world):
        world.blobs.remove(id)
    with pytest.raises(Corrupt, match="the data given as datax is damaged"):
        world.inputs().get(kept)


@pytest.mark.parametrize("status", [SUCCESS, FAILURE, REVOKED, "lost", "cancelled"])
def test_the_data_is_kept_until_the_end_and_no_longer(world, status):
    before = blobs(world)
    task = submit_fit(world, attempts=1)
    own = blobs(world) - before
    assert len(own) == 2
    if status == FAILURE:
        world.models().drop("m")
    if status == REVOKED:
        world.tasks().cancel(task.id)
    elif status in ("lost", "cancelled"):
        claim(world, task, "one")
        assert own <= blobs(world)
        if status == "cancelled":
            world.tasks().cancel(task.id)
        lapse(world)
        world.tasks().get(task.id)
    else:
        carry_out(world, task, "one")
    assert state(world, task).status == {"lost": FAILURE, "cancelled": REVOKED}.get(status, status)
    assert not own & blobs(world)
    assert keys(world, "task-open") == []


def test_the_data_is_kept_for_another_attempt(world):
    before = blobs(world)
    task = submit_fit(world)
    own = blobs(world) - before
    claim(world, task, "one")
    lapse(world)
    assert world.tasks().get(task.id).status == "RETRY"
    assert own <= blobs(world)
    assert carry_out(world, task, "two").status == SUCCESS
