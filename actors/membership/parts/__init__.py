"""What the engine does beside its handlers, on its own thread."""
