"""What the membership decides, beside `swim`: no clock, socket, thread, file or runtime in here."""
