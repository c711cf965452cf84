"""What every adapter of a port must do: one suite class per Protocol.

The tests of each adapter inherit the suite whole; its one abstract fixture says what it needs of the adapter.
Its examples are named after the promises in the port's docstring; the store ports also have a hypothesis
state machine, which compares the store with a plain dict.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{port}" for port in ("blobs", "clock", "frames", "ids", "queue", "records", "signer"))
)
