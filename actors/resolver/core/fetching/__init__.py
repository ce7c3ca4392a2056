"""Outgoing requests: which key is sent next, to whom, and when."""
