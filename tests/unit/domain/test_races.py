"""Writers, readers and deletes that meet at the worst moment, and stores that fail at any step."""

from typing import Any

import pandas as pd
import pytest
from attrs import define

from omega.domain.contents import decode_bytes, decode_frame, encode
from omega.domain.errors import BadInput, NotFound
from omega.domain.names import Reference
from omega.ports.records import StoreFull, StoreUnavailable
from tests.support.services import World

FRAME = pd.DataFrame({"x": [1, 2]})


@define
class Hooked:
    """A store that calls `before(method, arguments)` ahead of each write and removal."""

    store: Any
    before: Any = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.before and name in ("write", "remove"):
                self.before(name, args[0])
            return method(*args, **kwargs)

        return call


@pytest.fixture
def world():
    world = World()
    world.records, world.blobs = Hooked(world.records), Hooked(world.blobs)
    return world


def read(world: World, name: str = "a") -> Any:
    reading = world.datasets().open(Reference(name))
    if reading.schema is None:
        return decode_bytes(reading.metadata.kind, reading.chunks)
    return decode_frame(reading.metadata.kind, reading.tables)


def once(world: World, store: Any, when: Any, happen: Any) -> None:
    """Let `happen` take place just before the first change of `store` for which `when` holds."""

    def before(method: str, key: str) -> None:
        if when(method, key):
            store.before = None
            happen()

    store.before = before


@pytest.mark.parametrize("value", [FRAME, b"bytes", {"a": 1}])
@pytest.mark.parametrize("append", [True, False])
def test_a_put_that_meets_a_delete_is_kept_whole(world, value, append):
    """The delete finds the version record of the writer that is about to lose; the writer commits again under
    a new object.
    """
    world.datasets().put("a", encode(value))
    once(
        world,
        world.records,
        lambda m, k: m == "write" and k.startswith("object/"),
        lambda: world.datasets().drop("a"),
    )
    assert world.datasets().put("a", encode(value), append=append).version == 1
    got = read(world)
    assert got.equals(value) if isinstance(value, pd.DataFrame) else got == value
    world.datasets().drop("a")
    assert list(world.blobs.ids()) == [] and world.records.page("").total == 0


def test_a_model_that_is_put_while_it_is_deleted_is_kept_whole(world):
    models = world.models()
    models.create("m", [["LinearRegression", {}]])
    once(
        world, world.records, lambda m, k: m == "write" and k.startswith("object/"), lambda: models.drop("m")
    )
    models.create("m", [["Ridge", {}]], replace=True)
    assert type(models.get(Reference("m"))).__name__ == "Ridge"


def test_a_delete_that_meets_a_put_of_another_version(world):
    world.datasets().put("a", encode(FRAME))
    once(world, world.records, lambda m, k: m == "remove", lambda: world.datasets().put("a", encode(FRAME)))
    world.datasets().drop("a")
    with pytest.raises(NotFound):
        read(world)
    assert list(world.blobs.ids()) == [] and world.records.page("").total == 0


@pytest.mark.parametrize("value", [FRAME, b"bytes"])
@pytest.mark.parametrize("recreated", [False, True])
def test_a_reader_that_meets_a_delete_does_not_find_damage(world, value, recreated):
    datasets = world.datasets()
    datasets.put("a", encode(value))
    version = datasets.catalogue.version(Reference("a"))
    datasets.drop("a")
    if recreated:
        datasets.put("a", encode(value))
    with pytest.raises(NotFound, match="removed while it was read"):
        list(datasets._guarded(version, lambda: _parts(datasets, version)))


def _parts(datasets: Any, version: Any) -> Any:
    from omega.domain.payloads import Payload

    if "content" in version.payload:
        return datasets.payloads.read(Payload(**version.payload["content"]), of="it")
    return datasets.segments.read(version.payload, of="it")


def failing(world: World, store: Any, error: Exception, at: int) -> None:
    """The change number `at` of this store fails, before it does anything."""
    count = iter(range(1000))

    def before(method: str, key: str) -> None:
        if next(count) == at:
            raise error

    store.before = before


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("which", ["records", "blobs"])
def test_a_full_store_leaves_nothing_behind(world, which, at):
    big = pd.DataFrame({"x": ["t" * 1000] * 200_000})
    world.datasets().put("a", encode(FRAME))
    blobs, records = list(world.blobs.ids()), world.records.page("").total
    failing(world, getattr(world, which), StoreFull("no room"), at)
    try:
        world.datasets().put("a", encode(big if which == "blobs" else FRAME), append=False)
    except StoreFull:
        world.records.before = world.blobs.before = None
        assert list(world.blobs.ids()) == blobs
        assert world.records.page("").total == records
        assert read(world).equals(FRAME)
    else:
        assert which == "records" and at == 2


@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("error", [StoreUnavailable, StoreFull])
def test_a_delete_is_done_once_the_object_is_gone(world, at, error):
    """What cannot be removed then is left; the caller is not told of a failure that is none."""
    for _ in range(3):
        world.datasets().put("a", encode(FRAME))
    failing(world, world.records, error("gone"), at)
    world.datasets().drop("a")
    with pytest.raises(NotFound):
        read(world)


def test_a_store_that_cannot_be_reached_is_not_asked_again_for_each_payload(world):
    """Which may take as long as a time limit for each; they are orphans then."""
    for _ in range(4):
        world.datasets().put("a", encode(FRAME))
    failing(world, world.blobs, StoreUnavailable("busy"), 1)
    world.datasets().drop("a")
    assert len(list(world.blobs.ids())) == 3
    assert world.datasets().list().total == 0


def test_a_failure_after_which_the_commit_may_have_happened_removes_nothing(world):
    def before(method: str, key: str) -> None:
        if key.startswith("object/"):
            raise StoreUnavailable("who knows")

    world.records.before = before
    with pytest.raises(StoreUnavailable):
        world.datasets().put("a", encode(FRAME))
    assert len(list(world.blobs.ids())) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"y": [1, 2]})),
        (pd.DataFrame({"x": [1]}), pd.DataFrame({"x": pd.array([1], dtype="Int64")})),
        (pd.DataFrame({"x": pd.Categorical(["a"])}), pd.DataFrame({"x": pd.Categorical(["b"])})),
        (pd.DataFrame({"x": [1]}), pd.Series([1], name="x")),
        (b"1", "1"),
    ],
)
def test_an_idempotency_key_is_for_one_write_only(world, first, second):
    from omega.domain.errors import Conflict

    datasets = world.datasets()
    datasets.put("a", encode(first), append=False, idempotency_key="k")
    again = datasets.put("a", encode(first), append=False, idempotency_key="k")
    assert again.version == 1
    with pytest.raises(Conflict, match="used before"):
        datasets.put("a", encode(first), append=True, idempotency_key="k")
    with pytest.raises(Conflict, match="used before"):
        datasets.put(
            "a", encode(second if not isinstance(second, str) else [1]), append=False, idempotency_key="k"
        )


def test_the_same_rows_in_other_pieces_are_the_same_write(world):
    import pyarrow as pa

    from omega.domain.contents import Frame

    whole = encode(pd.DataFrame({"x": range(5000)})).table
    pieces = pa.concat_tables([whole.slice(0, 7), whole.slice(7)])
    datasets = world.datasets()
    for table in (whole, pieces):
        assert datasets.put("a", Frame(table), idempotency_key="k").version == 1


@pytest.mark.parametrize("page", [{"limit": -1}, {"offset": -1}, {"offset": -1, "sort": "x"}])
def test_negative_pages_are_refused(world, page):
    from omega.domain.datasets import Query

    world.datasets().put("a", encode(FRAME))
    with pytest.raises(BadInput, match="may not be negative"):
        world.datasets().open(Reference("a"), Query(**page))
