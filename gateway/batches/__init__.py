"""Batches: many requests accepted at once, executed durably, in the forms of three protocols."""
