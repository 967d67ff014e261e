"""The page: what it says, how it draws a year, and that nothing from upstream gets out of its line."""
