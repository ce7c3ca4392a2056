"""What `rookery simulate` shows of many runs: rows of a table, and a picture (`report`), drawn as SVG (`chart`)."""

from .chart import Band, Chart, Line, Mark, Panel
from .report import chart_of, figures

__all__ = ["Band", "Chart", "Line", "Mark", "Panel", "chart_of", "figures"]
