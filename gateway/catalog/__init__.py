"""What is known about Claude's models: abilities, limits, prices and lifecycle."""
