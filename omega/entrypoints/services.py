"""What the faces stand on: the domain's services, put together by `bootstrap`."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from attrs import field, frozen

from omega.domain.access import OWNER, Access
from omega.domain.dataset_shelf import DatasetShelf
from omega.domain.job_schedules import JobSchedules
from omega.domain.jobs import JobService
from omega.domain.scripts import ScriptService
from omega.domain.tasks import TaskService
from omega.entrypoints.settings import Settings
from omega.entrypoints.work import Work
from omega.ports.meter import Figures

if TYPE_CHECKING:
    from omega.domain.datasets import DatasetService
    from omega.domain.keys import Callers, KeyService
    from omega.domain.models import ModelService


@frozen(slots=False)
class Services:
    """The domain's services for one bucket and one caller, and the same for another bucket (`within`), or for
    another caller in some bucket (`as_`), of the same stores.

    `remote` says that somebody chose a queue, so that calls that take long are left to workers. `figures` are
    there where a meter is. `check_key` raises BadInput where the store's models are signed with another key
    than this machine has; so does the first use of `models`. `adopt_key` makes this machine's key that of the
    store.

    What takes long to import, or connects to a server, is put together at first use: `om datasets list` need
    not wait for pandas, nor the supervisor of a worker for scikit-learn, nor either have a queue.
    """

    shelf: DatasetShelf
    schedules: JobSchedules
    bucket: str
    remote: bool
    settings: Settings
    figures: Figures | None
    within: Callable[[str], "Services"]
    as_: Callable[[Access, str], "Services"]
    check_key: Callable[[], None]
    adopt_key: Callable[[], None]
    close: Callable[[], None]
    _make_datasets: "Callable[[], DatasetService]" = field(alias="make_datasets", repr=False)
    _make_models: "Callable[[], ModelService]" = field(alias="make_models", repr=False)
    _make_jobs: Callable[[], JobService] = field(alias="make_jobs", repr=False)
    _make_scripts: Callable[[], ScriptService] = field(alias="make_scripts", repr=False)
    _make_tasks: Callable[[], TaskService] = field(alias="make_tasks", repr=False)
    _make_keys: "Callable[[], KeyService]" = field(alias="make_keys", repr=False)
    _make_work: Callable[[], Work] = field(alias="make_work", repr=False)

    @cached_property
    def datasets(self) -> "DatasetService":
        """Datasets and what is in them."""
        return self._make_datasets()

    @cached_property
    def models(self) -> "ModelService":
        """Models and what they are asked."""
        return self._make_models()

    @cached_property
    def jobs(self) -> JobService:
        """Notebooks and what comes of them."""
        return self._make_jobs()

    @cached_property
    def scripts(self) -> ScriptService:
        """Python modules that are called."""
        return self._make_scripts()

    @cached_property
    def tasks(self) -> TaskService:
        """Calls for workers."""
        return self._make_tasks()

    @cached_property
    def keys(self) -> "KeyService":
        """The keys of the store."""
        return self._make_keys()

    def callers(self, rules: Sequence[str] | None) -> "Callers":
        """Those who call a server with these access rules (`None`: with none).

        Raises: BadInput for rules that cannot be used.
        """
        from omega.domain.keys import Callers
        from omega.domain.rules import Rules

        access = OWNER if rules is None else Rules.parse(rules, source="the list of access rules")
        return Callers(self.keys.keys, self.keys.switch, self.keys.clock, access)

    @property
    def work(self) -> Work:
        """What a worker does, in all buckets."""
        return self._make_work()
