"""The page: one static HTML file that says where a person stands. Everything but `write` is pure."""
