"""Where discovery looks and where it is found: sources, which block threads of the pool, and HTTP for the record."""
