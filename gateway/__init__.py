"""The domain of Coding Gateway: everything between a client's bytes and Claude's."""
