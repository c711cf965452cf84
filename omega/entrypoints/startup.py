"""How a process that lives long begins."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """While much is imported: no garbage is looked for.

    What imports make stays, so that to look through it again and again finds nothing and takes a fifth of the
    time; nor is it looked through later, for a tenth of a second each time, while everybody waits.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
