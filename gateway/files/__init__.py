"""Files of clients: uploads read piece by piece, and their OpenAI shape."""
