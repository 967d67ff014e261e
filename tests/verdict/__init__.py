"""Tests of the pure part that reads logs and judges."""
