"""Who may come in: API keys and the origin lock."""
