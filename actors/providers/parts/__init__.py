"""What acts: on the engine's thread, with its timers and the other actors' mailboxes."""
