"""What may die, break or misbehave in a trial, and what holds afterwards; `table.py` makes the page of it."""
