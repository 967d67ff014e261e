"""Tests of watcher.notify: what is said, and that it arrives."""
