"""Every benchmark, or those that are named; what they find goes to bench/RESULTS.md.

python -m bench [NAME ...]            measure, and write the results
python -m bench --check [NAME ...]    measure shortly, and fail where a guard does not hold
"""

import argparse
import importlib
import sys
from typing import Final

from bench import report

#: A benchmark is a module with `findings(*, quick)`, which gives one `Finding` after the other.
BENCHES: Final = (
    "predict",
    "transfer",
    "wire_json",
    "appends",
    "pages",
    "tasks",
    "startup",
    "listing",
    "memory",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--check", action="store_true", help="measure shortly; exit 1 where a guard fails")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(BENCHES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}: there are {', '.join(BENCHES)}")
    failed = 0
    for name in chosen.names or BENCHES:
        print(f"-- {name}", flush=True)
        found = []
        for finding in importlib.import_module(f"bench.{name}").findings(quick=chosen.check):
            print(finding, flush=True)
            found.append(finding)
            if chosen.check and not finding.is_guarded:
                failed += 1
                print(f"     REGRESSION: the guard is {finding.bound} {finding.guard:g}", flush=True)
        if not chosen.check:
            report.keep(name, found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
