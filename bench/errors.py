"""Why a bench run ended early."""


class BenchError(Exception):
    """A run cannot go on, or its figures would mean nothing; the message says why."""
