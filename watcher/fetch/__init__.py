"""The one polite HTTP client: one deadline per look, capped bodies, allowed hosts, validators, Retry-After, ranges."""

import sys

# httpx's own command line comes with it where rich and click are there: 30 ms and 5 MB for what nobody calls here
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
