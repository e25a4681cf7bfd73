"""One function per thing a caller can ask for. Ports come as keyword arguments."""
