"""Parts that several client protocols share."""
