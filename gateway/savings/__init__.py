"""What recorded conversations cost with and without the gateway.

`sessions` reads them from files of several kinds; `stored_conversations` takes them out of the
gateway's own store; `billing` says what a sequence of Messages requests costs; `information` checks
that nothing was hidden from the model; `replay` puts these together, `figures`, `table` and `chart`
show what came out. Nothing is sent anywhere.
"""
