"""The driver's errors, told as the port's. The driver's own words name hosts and users, so none of them is
passed on; only the number of the error is.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pymongo.errors import (
    BulkWriteError,
    DocumentTooLarge,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from omega.ports.records import StoreFull, StoreUnavailable

#: Numbers of https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml.
UNAUTHORIZED: Final = 13
AUTHENTICATION_FAILED: Final = 18
_ATLAS: Final = 8000
_QUOTA_EXCEEDED: Final = 12501
_OUT_OF_DISK_SPACE: Final = 14031
_FULL: Final = frozenset({_QUOTA_EXCEEDED, _OUT_OF_DISK_SPACE})
#: A document over 16 MiB: as it came, and after an update.
_TOO_LARGE: Final = frozenset({10334, 17419, 17420})


@contextmanager
def driver_errors() -> Iterator[None]:
    """Turn the driver's errors into the port's.

    Raises: StoreUnavailable, StoreFull.
    """
    try:
        yield
    except (PyMongoError, DocumentTooLarge) as error:
        raise _translated(error) from error


def codes_of(error: Exception) -> frozenset[int]:
    """The server's numbers for what went wrong; none if it was not the server that said so."""
    if isinstance(error, BulkWriteError):
        details: Mapping[str, Any] = error.details
        parts = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
        return frozenset(part["code"] for part in parts if "code" in part)
    if isinstance(error, OperationFailure) and error.code is not None:
        return frozenset({error.code})
    return frozenset()


def _translated(error: Exception) -> StoreUnavailable | StoreFull:
    codes = codes_of(error)
    if isinstance(error, DocumentTooLarge) or codes & _TOO_LARGE:
        return StoreFull("it is larger than a document of MongoDB may be, which is 16 MiB")
    # Atlas gives this number to many things.
    if codes & _FULL or (_ATLAS in codes and "quota" in str(error)):
        return StoreFull("no room left in MongoDB")
    if isinstance(error, ServerSelectionTimeoutError):
        return StoreUnavailable("no MongoDB server can be reached that takes writes")
    if isinstance(error, PyMongoError) and error.timeout:
        return StoreUnavailable("the MongoDB server did not answer in time")
    if codes & {UNAUTHORIZED, AUTHENTICATION_FAILED}:
        return StoreUnavailable("the MongoDB server does not allow it to the user of the URL")
    numbers = "".join(f", error {code}" for code in sorted(codes))
    return StoreUnavailable(f"the MongoDB server cannot be used ({type(error).__name__}{numbers})")
