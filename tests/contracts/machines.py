"""How the state machine of a store port is run."""

import itertools
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def run_machine(
    machine: Callable[[Any, Any], RuleBasedStateMachine],
    open_store: Callable[[str], Any],
    *,
    examples: int,
    steps: int,
) -> None:
    """Run it, each time on a new store that is opened twice, as two processes would."""
    names = (f"machine-{n}" for n in itertools.count())

    def fresh() -> RuleBasedStateMachine:
        name = next(names)
        return machine(open_store(name), open_store(name))

    run_state_machine_as_test(
        fresh,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
