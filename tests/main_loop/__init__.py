"""The whole loop through the real program: real registry, real Docker engine, real mail."""
