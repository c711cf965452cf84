"""Documents: put and got whole, whatever others do meanwhile and wherever a writer dies."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import define

from omega.domain.documents import Documents
from omega.domain.errors import BadInput, Conflict, Corrupt, NotFound, PreconditionFailed
from omega.domain.metadata import Precondition
from omega.domain.names import SCRIPT, Reference
from omega.ports.records import RecordConflict, StoreFull, StoreUnavailable
from tests.support.jobs import JobWorld
from tests.unit.domain.test_crashes import Died, Fuse, Mortal


@pytest.fixture
def world() -> JobWorld:
    return JobWorld()


@pytest.fixture
def documents(world: JobWorld) -> Documents:
    return world.documents(SCRIPT, "a kind")


@define
class Meddled:
    """A store in which something happens before a call, the first time or always."""

    store: Any
    method: str
    prefix: str
    happen: Callable[[], object]
    again: bool = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        def call(first: str, *args: Any, **kwargs: Any) -> Any:
            if name == self.method and first.startswith(self.prefix):
                happen = self.happen
                if not self.again:
                    self.happen = lambda: None
                happen()
            return method(first, *args, **kwargs)

        return call if name == self.method else method


def content(documents: Documents, text: str) -> bytes:
    return documents.get(Reference.parse(text, resource=SCRIPT)).content


def blobs(world: JobWorld) -> list[bytes]:
    return [b"".join(world.blobs.read(id)) for id in world.blobs.ids()]


def test_what_is_put_is_got_with_what_is_said_about_it(world, documents):
    put = documents.put("f/a", b"\x00precious\xff", attributes={"lines": 3})
    found = documents.get(Reference("f/a"))
    assert found.content == b"\x00precious\xff"
    assert found.metadata == put == documents.metadata(Reference("f/a"))
    assert (put.name, put.kind, put.version, put.attributes) == ("f/a", "a kind", 1, {"lines": 3})
    assert put.created == put.modified == world.clock.at
    assert "precious" not in repr(found)


def test_an_empty_document_is_one_too(documents):
    documents.put("a", b"")
    assert content(documents, "a") == b""


def test_each_put_is_a_version(world, documents):
    for number in (1, 2, 3):
        world.clock.move(10)
        assert documents.put("a", b"%d" % number, attributes={"n": number}).version == number
    assert [content(documents, name) for name in ("a", "a@1", "a@2", "a^", "a^^")] == [
        b"3",
        b"1",
        b"2",
        b"2",
        b"1",
    ]
    assert documents.metadata(Reference("a", at=2)).attributes == {"n": 2}
    now = documents.metadata(Reference("a"))
    assert (now.modified - now.created).total_seconds() == 20
    for beyond in (Reference("a", at=4), Reference("a", back=3)):
        with pytest.raises(NotFound, match="its versions are 1 to 3"):
            documents.get(beyond)


def test_unknown_and_illegal_names(world, documents):
    for call in (documents.get, documents.metadata, lambda reference: documents.drop(reference.name)):
        with pytest.raises(NotFound, match="there is no script 'a' in bucket 'store'"):
            call(Reference("a"))
        with pytest.raises(BadInput, match="illegal script name"):
            call(Reference("../a"))
    with pytest.raises(BadInput, match="action word 'run'"):
        documents.put("run", b"x")
    assert blobs(world) == [] and world.records.page("").total == 0


def test_lists(documents):
    for name in ("b", "a", "_hidden", "f/c"):
        documents.put(name, b"")
    assert [item.name for item in documents.list().items] == ["a", "b", "f/c"]
    page = documents.list(offset=1, limit=1)
    assert ([item.name for item in page.items], page.total) == (["b"], 3)
    assert [item.name for item in documents.list("f/*").items] == ["f/c"]


def test_the_documents_of_another_bucket_or_resource_are_others(world, documents):
    documents.put("a", b"mine")
    for other in (world.documents(SCRIPT, "a kind", "team"), world.documents("job", "a kind")):
        with pytest.raises(NotFound):
            other.get(Reference("a"))


# preconditions


def test_a_precondition_that_fails_changes_nothing(world, documents):
    documents.put("a", b"one")
    before = (set(world.blobs.ids()), world.records.page("").records)
    for precondition in (Precondition(match=frozenset({2})), Precondition(none_match="*")):
        with pytest.raises(PreconditionFailed, match="script 'a' is at version 1"):
            documents.put("a", b"two", precondition=precondition)
        with pytest.raises(PreconditionFailed):
            documents.drop("a", precondition=precondition)
    with pytest.raises(PreconditionFailed, match="does not exist"):
        documents.put("b", b"two", precondition=Precondition(match="*"))
    assert (set(world.blobs.ids()), world.records.page("").records) == before
    assert documents.put("a", b"two", precondition=Precondition(match=frozenset({1}))).version == 2
    documents.drop("a", precondition=Precondition(match=frozenset({2})))


def test_a_precondition_is_checked_before_anything_is_stored(world):
    def never() -> None:
        raise AssertionError("it was stored")

    world.blobs = Meddled(world.blobs, "write", "", never)
    with pytest.raises(PreconditionFailed):
        world.documents(SCRIPT, "a kind").put("a", b"mine", precondition=Precondition(match="*"))


def test_a_precondition_is_checked_again_when_another_was_faster(world, documents):
    documents.put("a", b"one")
    world.records = Meddled(world.records, "write", "version/", lambda: documents.put("a", b"theirs"))
    with pytest.raises(PreconditionFailed, match="is at version 2"):
        world.documents(SCRIPT, "a kind").put("a", b"mine", precondition=Precondition(match=frozenset({1})))
    assert content(documents, "a") == b"theirs"
    assert sorted(blobs(world)) == [b"one", b"theirs"]


# others at the same time


def test_another_put_meanwhile_makes_two_versions(world, documents):
    documents.put("a", b"one")
    world.records = Meddled(world.records, "write", "object/", lambda: documents.put("a", b"theirs"))
    assert world.documents(SCRIPT, "a kind").put("a", b"mine").version == 3
    assert [content(documents, f"a@{n}") for n in (1, 2, 3)] == [b"one", b"theirs", b"mine"]
    assert len(blobs(world)) == 3


def test_a_put_meets_a_drop(world, documents):
    documents.put("a", b"one")
    world.records = Meddled(world.records, "write", "object/", lambda: documents.drop("a"))
    assert world.documents(SCRIPT, "a kind").put("a", b"mine").version == 1
    assert content(documents, "a") == b"mine" and blobs(world) == [b"mine"]


def test_who_is_never_the_first_gives_up_and_leaves_nothing(world, documents):
    documents.put("a", b"one")
    tries = []

    def too_late() -> None:
        tries.append(1)
        raise RecordConflict("a")

    world.records = Meddled(world.records, "write", "object/", too_late, again=True)
    with pytest.raises(Conflict, match="script 'a' is being changed by too many others at once"):
        world.documents(SCRIPT, "a kind").put("a", b"mine")
    assert len(tries) == 100
    assert content(documents, "a") == b"one" and blobs(world) == [b"one"]
    assert world.records.page("version/").total == 1


def test_what_is_dropped_while_it_is_read_was_never_damaged(world, documents):
    documents.put("a", b"one")
    world.blobs = Meddled(world.blobs, "read", "", lambda: documents.drop("a"))
    reader = world.documents(SCRIPT, "a kind")
    with pytest.raises(NotFound, match="script 'a' was removed while it was read"):
        reader.get(Reference("a"))
    documents.put("a", b"one")

    def replaced() -> None:
        documents.drop("a")
        documents.put("a", b"another of the name")

    world.blobs.happen = replaced
    with pytest.raises(NotFound, match="was removed while it was read"):
        reader.get(Reference("a"))


# damage


def test_damage_is_named_and_never_given_out(world, documents):
    documents.put("a", b"one")
    documents.put("a", b"two")
    for id in list(world.blobs.ids()):
        kept = b"".join(world.blobs.read(id))
        world.blobs.remove(id)
        if kept == b"one":
            world.blobs.write(id, chunks=[b"0ne"])
    with pytest.raises(Corrupt, match=r"version 1 of script 'a' is damaged: its content .* is not what"):
        documents.get(Reference("a", at=1))
    with pytest.raises(Corrupt, match=r"version 2 of script 'a' is damaged: its content .* is missing"):
        documents.get(Reference("a"))
    assert documents.metadata(Reference("a")).version == 2


# trouble


@pytest.mark.parametrize(
    ("error", "left"), [(StoreFull("no room"), 0), (ValueError("no"), 0), (StoreUnavailable("busy"), 1)]
)
def test_a_put_that_fails_leaves_its_content_only_where_it_may_have_been_stored(world, error, left):
    def fail() -> None:
        raise error

    world.records = Meddled(world.records, "write", "object/", fail)
    with pytest.raises(type(error)):
        world.documents(SCRIPT, "a kind").put("a", b"mine")
    assert len(blobs(world)) == left


def test_a_drop_leaves_nothing(world, documents):
    for number in range(3):
        documents.put("a", b"%d" % number)
    documents.drop("a")
    assert blobs(world) == [] and world.records.page("").total == 0


def mortal() -> tuple[JobWorld, Fuse]:
    world, fuse = JobWorld(), Fuse()
    world.records, world.blobs = Mortal(world.records, fuse), Mortal(world.blobs, fuse)
    return world, fuse


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("act", ["put", "put again", "drop"])
def test_a_writer_dies_anywhere(act, after):
    """Then the document is as before or as after, and can be put again."""
    for step in range(20):
        world, fuse = mortal()
        documents = world.documents(SCRIPT, "a kind")
        if act != "put":
            documents.put("a", b"old")
            documents.put("a", b"before")
        fuse.left, fuse.after = step, after
        try:
            documents.drop("a") if act == "drop" else documents.put("a", b"after")
        except Died:
            died = True
        else:
            died = False
        fuse.left = None
        before = None if act == "put" else b"before"
        allowed = [before, None if act == "drop" else b"after"]
        try:
            seen = content(documents, "a")
        except NotFound:
            seen = None
        assert seen in (allowed if died else allowed[1:])
        if seen is not None and act != "put":
            assert content(documents, "a@1") == b"old"
        documents.put("a", b"again")
        assert content(documents, "a") == b"again"
        if not died:
            break
    assert 2 < step < 20
