"""The shipped bugs: their probes run as real processes."""
