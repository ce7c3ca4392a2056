"""What the tracker decides: no clock, socket, thread, file or runtime in here; `now` and `rng` are arguments."""
