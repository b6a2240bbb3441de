"""What `coding-gateway batch --help` says."""

BATCH = """\
Submit many requests at once and come back for the results: they are executed durably, each
exactly once, whatever is restarted meanwhile.

What an origin lock asks for is sent as `coding-gateway chat` does: ORIGIN_SECRET,
CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET, where they are set.
"""

SUBMIT = """\
FILE has one JSON object a line: a body of /v1/chat/completions (or of --endpoint), with an optional
"custom_id"; or a line of OpenAI's batches with "custom_id", "method", "url" and "body". Every line
is checked before anything is accepted. Prints the id of the batch.

Exit code 1: a line was refused, or with --watch, an item failed.
"""

EXAMPLES = """\
examples:
  coding-gateway batch submit reviews.jsonl --watch
  coding-gateway batch submit reviews.jsonl --mode anthropic --key nightly-2026-11-24
  coding-gateway batch results batch_0123456789abcdef01234567 --out results.jsonl
"""

ACTIONS = {
    "watch": ("show progress until it ends", "Show a progress bar until the batch has ended."),
    "list": ("the newest batches", "List the newest batches of the project."),
    "show": ("one batch", "Show status, counts, cost, estimate of the end, first errors."),
    "results": ("results, one JSON a line", "Write the results there are, also while it runs."),
    "cancel": ("end it; what is done stays", "Cancel a batch; items that are done stay done."),
    "pause": ("begin nothing more for now", "Pause a batch until it is resumed."),
    "resume": ("go on after a pause", "Go on with a paused batch."),
    "retry": ("execute failed items again", "Execute the failed items of an ended batch again."),
}
