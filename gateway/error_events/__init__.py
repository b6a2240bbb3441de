"""What went wrong, kept: one event for each failed attempt and each refusal, without any text."""
