"""What transport decides: frames, windows, quotas, who may start a handshake. Pure: the clock is an argument."""
