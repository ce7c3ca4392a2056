"""What blobs decide. Nothing here knows a clock, a socket, a thread, a file or the runtime."""
