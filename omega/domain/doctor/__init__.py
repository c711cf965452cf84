"""The doctor: checks all that a store holds, and finds and removes what nothing points to."""

from omega.domain.doctor.doctor import Doctor
from omega.domain.doctor.findings import DAMAGED, ORPHAN, RECENT, Finding, Tally

__all__ = ["DAMAGED", "ORPHAN", "RECENT", "Doctor", "Finding", "Tally"]
