"""What a resolver decides: which key is asked of whom and when, and what becomes of each answer. Pure."""
