"""Whoever can write to the store, and has no key, makes no model be loaded that is not what it was, where it
was.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from omega.adapters.memory.cache import LruCache
from omega.adapters.system.signer import HmacSigner
from omega.domain.errors import BadInput, Corrupt
from omega.domain.names import Reference
from omega.ports.records import Record, RecordStore
from tests.support.services import CheapCodec, CheapExecutor, World

X, Y = pd.DataFrame({"x": [1.0, 2.0, 3.0]}), pd.Series([2.0, 4.0, 6.0], name="y")


@define
class WatchedCodec(CheapCodec):
    """Counts how often bytes are given to the unpickler."""

    loads: int = 0

    def load(self, payload: bytes) -> Any:
        self.loads += 1
        return super().load(payload)


def filled() -> World:
    """Two models in one bucket, one in another, each fitted once."""
    world = World(codec=WatchedCodec(), executor=CheapExecutor())
    for bucket, name in (("store", "a"), ("store", "b"), ("other", "a")):
        models = world.models(bucket)
        models.create(name, [["Cheap", {}]])
        models.fit(name, X, Y)
    world.codec.loads = 0
    return world


def head_of(store: RecordStore, name: str, bucket: str = "store") -> Record:
    return store.read(f"object/{bucket}/model/visible/{name}")


def version_of(store: RecordStore, name: str, bucket: str = "store", number: int = 2) -> Record:
    uid = head_of(store, name, bucket).value["uid"]
    (record,) = store.page(f"version/{uid}/{number:012d}/").records
    return record


def change(store: RecordStore, record: Record, **parts: Any) -> None:
    store.write(record.key, value={**record.value, **parts}, expected=record.revision)


def refused(world: World, name: str = "a", bucket: str = "store") -> None:
    """In every way to load it; nothing has come to the unpickler."""
    models, reference = world.models(bucket), Reference(name)
    for load in (
        lambda: models.get(reference),
        lambda: models.ask(reference, X),
        lambda: models.fit(name, X, Y),
        lambda: models.fit(name, X, Y, action="partial_fit"),
    ):
        with pytest.raises(Corrupt):
            load()
    assert world.codec.loads == 0


def forged(world: World, content: bytes) -> dict[str, Any]:
    """A payload with the checksum that it should have, of content that we never wrote."""
    payload = world.payloads().write([content])
    return {"id": payload.id, "size_bytes": payload.size_bytes, "sha256": payload.sha256}


def test_what_was_not_touched_is_loaded() -> None:
    world = filled()
    for bucket, name in (("store", "a"), ("store", "b"), ("other", "a")):
        assert world.models(bucket).ask(Reference(name), X).result.tolist() == [1, 1, 1]
        assert world.models(bucket).get(Reference(name, at=1))["fits"] == 0


def test_other_content_with_the_right_checksum() -> None:
    world = filled()
    record = version_of(world.records, "a")
    content = forged(world, b'{"spec": [], "fits": 666, "rows": 0}')
    change(world.records, record, payload={**record.value["payload"], "content": content})
    refused(world)


def test_content_that_another_key_signed() -> None:
    world = filled()
    world.key = b"x" * 32
    refused(world)


def test_content_cut_short_or_changed_in_place() -> None:
    for spoil in (lambda content: content[:-1], lambda content: b"", lambda content: content[:-1] + b" "):
        world = filled()
        id = version_of(world.records, "a").value["payload"]["content"]["id"]
        content = b"".join(world.blobs.read(id))
        world.blobs.remove(id)
        world.blobs.write(id, chunks=[spoil(content)])
        refused(world)


@pytest.mark.parametrize("parts", [("payload",), ("attributes",), ("payload", "attributes", "kind")])
@pytest.mark.parametrize(
    "source", [("b", "store", 2), ("a", "other", 2), ("a", "store", 1)], ids=["name", "bucket", "version"]
)
def test_what_was_signed_for_another_place(source: tuple[str, str, int], parts: tuple[str, ...]) -> None:
    """A swap of two models' payloads, and the return of an older version as the current one."""
    world = filled()
    name, bucket, number = source
    other = version_of(world.records, name, bucket, number).value
    if parts == ("attributes",) and number == 2:
        # The same was learned: to tell them apart, one model knows another column.
        other = {**other, "attributes": {**other["attributes"], "features": None}}
    change(world.records, version_of(world.records, "a"), **{part: other[part] for part in parts})
    refused(world)


def test_a_name_that_is_bent_to_another_object() -> None:
    world = filled()
    mine, theirs = head_of(world.records, "a"), head_of(world.records, "b")
    change(world.records, mine, uid=theirs.value["uid"], tip=theirs.value["tip"])
    refused(world)


def test_a_loaded_model_goes_on_with_what_was_checked_when_it_was_loaded() -> None:
    world = filled()
    models = world.models()
    models.ask(Reference("a"), X)
    world.codec.loads = 0
    record = version_of(world.records, "a")
    learned = copy.deepcopy(record.value["attributes"])
    learned["features"][0]["name"] = "y"
    change(world.records, record, attributes=learned)
    assert models.ask(Reference("a"), X).metadata.attributes["features"][0]["name"] == "x"
    for load in (
        lambda: models.get(Reference("a")),
        lambda: models.ask(Reference("a", at=2), X.rename(columns={"x": "y"})),
        lambda: models.fit("a", X, Y),
    ):
        with pytest.raises((Corrupt, BadInput)):
            load()
    assert world.codec.loads == 0
    world.cache = LruCache(1 << 30)
    refused(world)


def test_a_name_that_is_bent_to_a_model_that_is_loaded() -> None:
    world = filled()
    world.models().ask(Reference("b"), X)
    world.models("other").ask(Reference("a"), X)
    world.codec.loads = 0
    mine = head_of(world.records, "a")
    for theirs in (head_of(world.records, "b"), head_of(world.records, "a", "other")):
        head = head_of(world.records, "a")
        change(world.records, head, uid=theirs.value["uid"], tip=theirs.value["tip"])
        refused(world)
    # An older version of its own, which is loaded.
    change(world.records, head_of(world.records, "a"), uid=mine.value["uid"], tip=mine.value["tip"])
    world.models().get(Reference("a", at=1))
    first = version_of(world.records, "a", number=1)
    change(world.records, head_of(world.records, "a"), tip=first.key.rpartition("/")[2])
    world.codec.loads = 0
    refused(world)


def test_a_version_under_the_id_of_another_that_is_loaded() -> None:
    """It is signed, and where it was signed for: it answers itself, and not with the other's model."""
    world = filled()
    world.models().fit("b", X, Y)
    world.models().fit("b", X, Y, action="partial_fit")
    assert world.models().ask(Reference("b"), X).result.tolist() == [2, 2, 2]
    mine, tip = head_of(world.records, "a"), head_of(world.records, "b").value["tip"]
    key = f"version/{mine.value['uid']}/{2:012d}/{tip}"
    world.records.write(key, value=version_of(world.records, "a").value, expected=None)
    change(world.records, mine, tip=tip)
    for _ in range(3):
        assert world.models().ask(Reference("a"), X).result.tolist() == [1, 1, 1]
        assert world.models().ask(Reference("b"), X).result.tolist() == [2, 2, 2]


def test_a_signature_of_the_content_alone_is_not_enough() -> None:
    """As versions of omega before this one made it."""
    world = filled()
    record = version_of(world.records, "a")
    payload = record.value["payload"]
    content = b"".join(world.blobs.read(payload["content"]["id"]))
    alone = HmacSigner(world.key).sign(content)
    change(world.records, record, payload={**payload, "signature": alone})
    refused(world)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from leaves(part, (*path, index))
    yield path


_ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_no_part_of_a_version_can_be_changed(data: st.DataObject) -> None:
    world = filled()
    record = version_of(world.records, "a")
    value: Any = copy.deepcopy(dict(record.value))
    signed = {part: value[part] for part in ("kind", "payload", "attributes")}
    path = data.draw(st.sampled_from([path for path in leaves(signed) if len(path) > 1 or path == ("kind",)]))
    target = value
    for step in path[:-1]:
        target = target[step]
    new = data.draw(_ANY)
    if data.draw(st.booleans()) and isinstance(target, dict) and len(path) > 1:
        del target[path[-1]]
    elif new == target[path[-1]] and type(new) is type(target[path[-1]]):
        return
    else:
        target[path[-1]] = new
    world.records.write(record.key, value=value, expected=record.revision)
    refused(world)


def test_the_same_is_signed_the_same_whatever_the_order_of_keys() -> None:
    """MongoDB and SQLite need not give keys in the order in which they were written."""
    world = filled()
    record = version_of(world.records, "a")
    turned = {name: dict(reversed(record.value[name].items())) for name in ("payload", "attributes")}
    change(world.records, record, **turned)
    np.testing.assert_array_equal(world.models().ask(Reference("a"), X).result, [1, 1, 1])
