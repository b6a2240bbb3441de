"""A faithful Anthropic Messages API on loopback, for first runs, tests and benches.

Run it with `python -m simulator`. It refuses what the API refuses, in the API's words, accounts
for prompt caching by the published rules, signs and checks thinking blocks, and plays scripted
answers and faults. Token counts are estimates; there is no model behind it.

It is a program of its own: it imports nothing of the gateway.
"""
