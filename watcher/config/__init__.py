"""All TOML of the product (settings, engines, bugs) as frozen values; `place` finds it with the standard library alone."""
