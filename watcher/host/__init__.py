"""The device: its facts, its Docker engine, the trial container, the services that make room, and the way back."""
