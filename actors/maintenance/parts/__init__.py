"""Helpers of the maintenance engine, which live on its thread."""
