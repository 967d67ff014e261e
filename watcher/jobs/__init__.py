"""One module per thing that changes something: restore, check, plan, try_next, announce, prune, service."""
