"""Verbs: the only place where layers are wired."""

from headwater.process.reading import Reading, read, read_table, records
from headwater.process.report import Report, Skipped
from headwater.process.source_report import SourceReport, TemplateUse

__all__ = ["Reading", "Report", "Skipped", "SourceReport", "TemplateUse", "read", "read_table", "records"]
