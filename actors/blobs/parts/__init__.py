"""What acts for the engine: cutting and writing files, gets, answers to peers, work on the pool."""
