"""What the tracker remembers over a restart: who reads and writes it, what it holds, and the file it is in."""
