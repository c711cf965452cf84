"""Migrations: a whole store copied to another place, whatever technology either is kept in."""

from omega.domain.migration.migration import Migration
from omega.domain.migration.report import Plan, Progress, Report
from omega.domain.migration.target import StorePlace, is_unfinished_copy

__all__ = ["Migration", "Plan", "Progress", "Report", "StorePlace", "is_unfinished_copy"]
