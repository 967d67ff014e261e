"""Where the shared material stands: beside the checkout, read in place."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED = CHECKOUT.parent / "shared"
SAMPLES = SHARED / "upstream-samples"
LOG_CORPUS = SHARED / "log-corpus" / "logs.jsonl"
CACHE = CHECKOUT / ".cache"
"""What tests build once and keep (base image, virtual environments); not tracked."""
