"""The database: functions that take the open transaction first, values of `model` in and out, no row leaves."""
