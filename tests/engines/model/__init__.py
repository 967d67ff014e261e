"""The tiny model of the slow tier: its phrases, and the script that trains it."""
