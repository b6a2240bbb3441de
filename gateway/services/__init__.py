"""The composition root: every client and service of an API process."""
