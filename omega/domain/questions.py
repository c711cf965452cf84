"""Questions to models, one by one or several together."""

from collections.abc import Hashable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from attrs import frozen

from omega.domain.errors import BadInput, NotFitted
from omega.domain.features import Numbers
from omega.domain.metadata import Metadata
from omega.ports.models import InvalidModelInput, ModelExecutor, ModelNotFitted, UnsupportedAction

#: The actions that answer row by row, whatever rows stand beside.
_BY_ROW: Final = frozenset({"predict", "predict_proba", "predict_log_proba", "decision_function"})
#: A question of more values gains nothing by being put together with others.
_FEW_CELLS: Final = 4096


@frozen(eq=False)
class Answer:
    """What a model answered. `result` is an array of shape (n_samples,) or (n_samples, n_outputs), a list of
    such for several outputs, or a score.

    `classes` are the labels of the columns of probabilities.
    """

    metadata: Metadata
    result: np.ndarray | list[np.ndarray] | float
    classes: Sequence[Any] | None = None


@frozen(eq=False)
class Question:
    """What a model is to be asked, with all checked that can be before: `x` has the columns that the model
    was fitted with, in their order. `tip` is that of the model's version.
    """

    executor: ModelExecutor
    metadata: Metadata
    tip: str
    model: Any
    action: str
    x: pa.Table | Numbers
    y: pa.Table | None = None

    @property
    def key(self) -> Hashable | None:
        """What questions have in common that can be put together; `None` for one that cannot be."""
        if self.action not in _BY_ROW or not 0 < self.rows * self._width <= _FEW_CELLS:
            return None
        return self.tip, self.action, None if isinstance(self.x, Numbers) else self.x.schema

    @property
    def rows(self) -> int:
        """How many samples it is about."""
        return self.x.rows if isinstance(self.x, Numbers) else int(self.x.num_rows)

    @property
    def _width(self) -> int:
        return len(self.x.columns) if isinstance(self.x, Numbers) else int(self.x.num_columns)

    def put(self) -> Answer:
        """The answer.

        Raises: BadInput, NotFitted.
        """
        return self._answer(self._asked(self.x.table if isinstance(self.x, Numbers) else self.x))

    def put_all(self, questions: Sequence["Question"]) -> list[Answer]:
        """The answers to `questions`, which all have this one's key.

        Numbers may differ from those of each alone in their last bits: sums are made in another order.

        Raises: as `put`, and ValueError where the answer does not have a part for each row; nobody knows then
        who is at fault.
        """
        if len(questions) == 1:
            return [self.put()]
        together = _together([question.x for question in questions])
        result = self._asked(together)
        if not isinstance(result, np.ndarray) or not result.ndim or len(result) != together.num_rows:
            raise ValueError(f"{self.action} does not answer row by row")
        answers, at = [], 0
        for question in questions:
            answers.append(question._answer(result[at : at + question.rows]))
            at += question.rows
        return answers

    def _asked(self, x: pa.Table) -> np.ndarray | list[np.ndarray] | float:
        try:
            return self.executor.apply(self.model, action=self.action, x=x, y=self.y)
        except ModelNotFitted as error:
            name = self.metadata.name
            raise NotFitted(f"model {name!r} is not fitted: fit it before {self.action}") from error
        except (InvalidModelInput, UnsupportedAction) as error:
            raise BadInput(str(error)) from error

    def _answer(self, result: np.ndarray | list[np.ndarray] | float) -> Answer:
        return Answer(self.metadata, result, self.metadata.attributes.get("classes"))


def _together(parts: Sequence[pa.Table | Numbers]) -> pa.Table:
    first, *others = parts
    if isinstance(first, Numbers):
        return first.followed_by(others).table
    return pa.concat_tables(parts).combine_chunks()
