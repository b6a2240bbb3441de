"""The order of steps of one request; the features stand beside each other and are joined here."""
