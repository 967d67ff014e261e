"""The device's edge: Docker, displaced services, the way back, the device's files."""
