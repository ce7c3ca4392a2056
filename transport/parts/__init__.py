"""Helpers of the transport engine, which live on its thread: how links begin, what they carry, how they end."""
