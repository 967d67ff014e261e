"""`watcher demo`: an upstream world on loopback, a simulated device, and the story that walks through both."""
