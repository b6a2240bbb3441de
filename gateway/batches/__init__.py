"""Batches: many requests that are answered in time, each exactly once."""
