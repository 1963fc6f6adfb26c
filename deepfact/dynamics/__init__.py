"""Flows and descents in time."""
