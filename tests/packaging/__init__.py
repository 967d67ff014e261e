"""What is shipped: the default configuration, the lock files, the wheel."""
