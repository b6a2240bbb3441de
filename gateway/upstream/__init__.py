"""The only door to Claude's API."""
