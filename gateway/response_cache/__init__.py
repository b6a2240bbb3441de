"""Answers kept for the same question: exact, or of the same meaning where a project allows it.

question.py    which requests may be answered from here, and the key that holds all of a request
answer.py      which answers are kept, and how one is given again
store.py       sealed in Valkey, with the lock that lets one process ask
flights.py     identical requests of one process: one asks, the others wait
similar.py     questions whose meaning is near, found by their vectors
cache.py       these together, for the pipeline
"""
