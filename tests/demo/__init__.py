"""The demo: its upstream world, its simulated device, its story."""
