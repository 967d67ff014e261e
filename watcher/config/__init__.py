"""All TOML of the product (settings, engines, bugs) as frozen values."""
