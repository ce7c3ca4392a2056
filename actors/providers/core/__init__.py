"""What decides: plain state. Time and chance are arguments, and what is to be done is a return value."""
