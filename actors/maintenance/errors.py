"""Errors that maintenance answers with."""

from __future__ import annotations

from ...runtime import Declined


class MaintenanceStopped(Declined):
    """Maintenance was shut down: it neither dials nor trims, so there is nothing to report."""
