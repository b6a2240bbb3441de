"""Makes prompts cheaper: the same content in fewer dollars, and nothing hidden from the model.

`texts` are what passes rewrite; `references` replaces repetitions by pointers to the earlier copy,
`caps`, `boilerplate`, `diff_policy`, `compaction` and `context_window` shorten and say so;
`volatile` moves lines that change; `cache_plan` sets the marks of the prompt cache; `state` is what
is remembered of a conversation; `report` says what was done to a request.

Two rules hold for every pass: what is sent for a message depends on it and on earlier messages
only, so that each request begins with the bytes of the one before it; and the original can be
rebuilt from what is sent, or the text says what was left out.
"""
