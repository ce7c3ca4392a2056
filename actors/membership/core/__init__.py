"""What membership decides, beside SWIM: pure."""
