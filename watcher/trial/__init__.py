"""A trial: the pure machine, the runner that has the effects, and what is asked of a started engine."""
