"""What `--help` says of each command."""

OVERVIEW = """\
One URL for coding IDEs and agents in front of Claude.

  coding-gateway up        start everything that has no URL and serve
  coding-gateway status    what runs, and how it feels
  coding-gateway restart   replace the API processes, no request lost
  coding-gateway doctor    check each part and say how to mend it
  coding-gateway connect   configure an IDE, an agent or an SDK
  coding-gateway chat      ask something in the terminal
  coding-gateway batch     submit many requests and come back for the results
  coding-gateway savings   what recorded conversations cost with and without it

Where the other parts have addresses of their own, in containers for example:

  coding-gateway migrate   bring the database to the newest schema
  coding-gateway api       serve the API alone
  coding-gateway worker    run the Temporal worker alone

Settings are environment variables, read from .env too; README.md lists them.
"""

UP = """\
Start PostgreSQL, Valkey and Temporal, unless DATABASE_URL, REDIS_URL or TEMPORAL_ADDRESS say where
they are; bring the database up to date; serve the API and run the workers. What dies is started
again. Ctrl-C stops everything in order, and data is kept for the next time.

Without ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL a simulator answers instead of Claude.
Keys for the gateway are made on the first start and kept in the data directory.
"""

UP_EXAMPLES = """\
examples:
  coding-gateway up
  ANTHROPIC_API_KEY=sk-ant-... coding-gateway up --api-processes 4
  coding-gateway up --data-dir ~/second --port 8090      # a second stack beside the first
  coding-gateway up --json > ready.json                  # one line, when ready
"""

CONNECT = """\
Print the configuration with which a client uses the stack that runs here: the file and what must
stand in it, variables, steps. Without a client: a list of them. With --write the client's own file
is changed: everything else in it stays, a copy with the time in its name is kept beside it, and a
second run changes nothing. A file that cannot be read is left alone.

The output holds the key. Exit code 1: nothing could be written, or no gateway was found.
"""

CONNECT_EXAMPLES = """\
examples:
  coding-gateway connect
  coding-gateway connect codex --write
  coding-gateway connect cursor --base-url https://gateway.example.com --api-key cgw_...
"""

CHAT = """\
Send a question to the stack that runs here and print the answer while it comes; `-` reads the
question from standard input. Without a question, in a terminal, a conversation begins.

ORIGIN_SECRET is sent when it is set, and so is a service token of Cloudflare Access, from
CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET: that is what an origin lock asks for.

Exit code 1: there was no answer, or only a part of one; 130: stopped by Ctrl-C.
"""

CHAT_EXAMPLES = """\
examples:
  coding-gateway chat "What is a monad?"
  git diff | coding-gateway chat --system "Review this diff" -
"""

SAVINGS = """\
See what the gateway saves before it is put in use: replay recorded conversations in this process
and bill each request by Claude's published rules, with the gateway's passes and without them.
Nothing is sent anywhere, and no key is needed.
"""

REPLAY = """\
SESSIONS are files or folders: what `savings export` writes, Claude Code's logs in
~/.claude/projects, Continue's in ~/.continue; plain or gzip. The format is told by the content.

The plain price is that of the same requests without any prompt cache. Passes are those of the
settings (environment, .env); the options below go over them. Every text of the client must be
readable in what would be sent, or its cut declared there; anything else counts as hidden.

Exit code 1: a request could not be billed, something was hidden, or a file cannot be used.
"""

REPLAY_EXAMPLES = """\
examples:
  coding-gateway savings replay ~/.claude/projects
  coding-gateway savings replay ~/.continue --model claude-opus-5-5 --chart savings.svg
  coding-gateway savings replay recorded/ --references off --without-cache   # what is left then
"""

EXPORT = """\
Write the conversations that are kept for the Responses API out of the gateway's own database, as
JSON lines that `savings replay` reads; compressed when FILE ends in .gz. The file holds whole
prompts in clear and is readable by you alone. An existing file is not overwritten.

DATABASE_URL and ENCRYPTION_KEYS come from the environment, else from the stack that runs here.
"""

API = """\
Serve the API alone, for production where the other parts have addresses:
DATABASE_URL, REDIS_URL, TEMPORAL_ADDRESS and ANTHROPIC_API_KEY come from the environment.

One process is `python -OO -m api.server`. With several, `kill -USR1` of this command replaces
them one after the other, and no request is lost.
"""

WORKER = """\
Run the Temporal worker alone; the same as `python worker.py`, to which its options are handed on.
DATABASE_URL and TEMPORAL_ADDRESS come from the environment.

options of worker.py:
  --task-queue {maintenance,batch,background}
                     what to work on, may be repeated; without it everything these settings allow
  --ready-file PATH  made when the worker polls

examples:
  coding-gateway worker --ready-file /tmp/worker.ready
  coding-gateway worker --task-queue batch --task-queue background
"""

RESTART = """\
Start each API process anew, with the code that is on disk now, and end the old one when the new
one serves: its open answers go on for SHUTDOWN_GRACE_SECONDS. `kill -USR1` of the supervisor does
the same.

example, after an upgrade:
  git pull && make install && coding-gateway migrate && coding-gateway restart
"""

MIGRATE = """\
Bring the database in DATABASE_URL to the newest schema. Safe to run at any time, from several
places at once. Without DATABASE_URL the database of a running `coding-gateway up` is taken.
Exit code 75: the database does not answer; 1: a migration failed, and changed nothing.
"""
