"""Helpers of the resolver engine, which live on its thread: the asking side and the serving side."""
