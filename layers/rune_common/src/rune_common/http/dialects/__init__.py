"""Error dialects: how each API family says what went wrong. One module per family."""
