"""Configuration of the programs that use the gateway."""
