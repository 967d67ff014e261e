"""Tests of watcher.store on real SQLite files."""
