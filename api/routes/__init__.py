"""One thin module for each resource."""
