"""What maintenance decides: whether to dial or to trim, whom and when, and what to tell peers about peers. Pure."""
