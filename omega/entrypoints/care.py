"""The care for whole stores: the doctor, migrations, and whether a store may be used."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from omega.domain.doctor import Doctor
from omega.domain.errors import BadInput
from omega.domain.migration import Migration, StorePlace, is_unfinished_copy
from omega.entrypoints.bootstrap import OpenStore, opened
from omega.entrypoints.settings import Settings


@contextmanager
def opened_doctor(settings: Settings) -> Iterator[Doctor]:
    """The doctor of the store that the settings name.

    Raises: BadInput for settings that cannot be used, StoreUnavailable.
    """
    with opened(settings) as store:
        yield Doctor(store.records, store.blobs, store.upkeep, store.clock, store.signer)


@contextmanager
def opened_migration(source: Settings, target: Settings, *, create: bool) -> Iterator[Migration]:
    """The migration from one store to another. Unless it is to be created, an embedded target that is not
    there is taken for an empty one.

    Raises: BadInput for settings that cannot be used, StoreUnavailable.
    """
    if source.store_in_memory or target.store_in_memory:
        raise BadInput("a memory:// store is gone when this command ends: nothing can be migrated")
    if not _is_there(source):
        raise BadInput(f"there is no store to copy in {str(source.store_path)!r}")
    if not create and not _is_there(target):
        target = attrs.evolve(target, store="memory://")
    with opened(source) as old, opened(target) as new:
        yield Migration(_place(old), _place(new), old.clock, old.ids)


def check_is_whole(settings: Settings) -> None:
    """Nothing, if the store may be served and worked for.

    Raises: BadInput for the unfinished copy of another store; as `opened_doctor`.
    """
    with opened(settings) as store:
        if is_unfinished_copy(_place(store)):
            raise BadInput("the store is the unfinished copy of another one: run om migrate again first")


def _is_there(settings: Settings) -> bool:
    """Whether an embedded store has been begun; of others only their servers know."""
    return settings.store_path is None or (settings.store_path / "records.sqlite").exists()


def _place(store: OpenStore) -> StorePlace:
    return StorePlace(store.records, store.blobs)
