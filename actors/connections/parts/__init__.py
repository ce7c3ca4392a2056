"""Helpers of the connections engine, which live on its thread, and what stands in for it where there is none."""
