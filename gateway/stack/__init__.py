"""The embedded servers and the supervisor behind `coding-gateway up`."""
