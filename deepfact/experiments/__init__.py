"""The loops behind the notebooks: one file a topic, seeded per trial, plain functions."""
