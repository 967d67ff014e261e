"""Watch for an upstream fix, try it on the device, say whether the bug is gone."""

__version__ = "0.1.0"
