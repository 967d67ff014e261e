"""The one polite HTTP client: one deadline per look, capped bodies, allowed hosts, validators, Retry-After, ranges."""
