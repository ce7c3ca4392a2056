"""What decides in discovery: when to look, and how records and addresses are written. Pure: no clock, no runtime."""
