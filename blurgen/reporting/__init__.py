"""What can be told of a pair file, as a page to look at or as a data set's card."""

from blurgen.reporting.reporter import Report, report

__all__ = ["Report", "report"]
