"""From what was seen (a log, bytes, a probe, starts) to the two answers. Pure."""
