"""The durable order of steps: deterministic, started by name, one input object each."""
