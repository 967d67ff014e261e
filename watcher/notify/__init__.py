"""Tell people: `message` decides what is said, `send` carries it."""
