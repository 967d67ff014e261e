"""The jobs: what changes something."""
