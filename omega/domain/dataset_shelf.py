"""What the records alone tell of datasets: whoever only lists them need not wait for pandas and Arrow."""

from attrs import frozen

from omega.domain.access import LIST
from omega.domain.catalogue import Catalogue
from omega.domain.metadata import Listing, Metadata
from omega.domain.names import Reference


@frozen
class DatasetShelf:
    """The datasets of one bucket from outside."""

    catalogue: Catalogue

    def metadata(self, reference: Reference) -> Metadata:
        """What is said about a version of a dataset; of frames also `dtypes` and `rows`.

        Raises: NotFound.
        """
        return self.catalogue.allow("get", reference.name).version(reference).metadata

    def list(self, pattern: str | None = None, *, offset: int = 0, limit: int = 20) -> Listing:
        """Datasets by name, as `Catalogue.list`."""
        return self.catalogue.allow(LIST).list(pattern, offset=offset, limit=limit)
