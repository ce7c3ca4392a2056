"""What decides in connections: who counts, who goes first, what time does to weights. Pure: no clock, no runtime."""
