"""Openings of conversations and the model that is right for each, by the judgement of people.

The wording follows what developers write to coding clients. `heavy` is work whose mistakes are
dear or that needs a view of the whole; `small` is what nobody will continue.
"""

from typing import Literal

Right = Literal["heavy", "default", "small"]

OPENINGS: tuple[tuple[Right, str], ...] = (
    # --- architecture and design ---
    ("heavy", "Design the architecture for a multi-tenant billing service on top of our monolith."),
    ("heavy", "We need to split the monolith into services. Propose boundaries and a data model."),
    ("heavy", "Write an ADR: event sourcing or plain CRUD for the orders domain, with trade-offs."),
    ("heavy", "How should we structure this repo so that three teams can work independently?"),
    ("heavy", "Do a system design for a job queue with exactly-once semantics on Postgres."),
    ("heavy", "Review the architecture of src/core and tell me where the layering is violated."),
    ("heavy", "I want to redesign our sync protocol for scalability; consistency matters a lot."),
    ("heavy", "Draft an RFC for sharding the events database, including failure modes."),
    # --- production incidents ---
    (
        "heavy",
        "Production is down since the last deploy, checkout returns 502. Help me find out why",
    ),
    (
        "heavy",
        "Incident: customers are losing messages after failover. Root cause analysis please.",
    ),
    (
        "heavy",
        "We have a deadlock in production under load in worker/pool.go, see the goroutine dump",
    ),
    (
        "heavy",
        "Urgent: p99 latency spike in prod after enabling the new cache, find the regression.",
    ),
    ("heavy", "data corruption in production: rows in ledger have negative balances since 14:00"),
    ("heavy", "Write the postmortem for yesterday's outage from these logs and suggest fixes."),
    ("heavy", "sev1: the API is down, pods restart with OOM after 2 minutes, logs below"),
    # --- security ---
    ("heavy", "Audit the login flow for security vulnerabilities, especially session fixation."),
    ("heavy", "Is this endpoint exploitable with SQL injection? src/api/search.py line 40"),
    ("heavy", "Harden the file upload against path traversal and SSRF."),
    ("heavy", "Implement password reset tokens securely; threat model included."),
    ("heavy", "Review our JWT authentication middleware for privilege escalation between tenants."),
    (
        "heavy",
        "We leaked an api key. Rotate secrets and add encryption at rest to the config store.",
    ),
    ("heavy", "Check auth.py and permissions.py for access control bugs"),
    # --- migrations ---
    ("heavy", "Migrate the app from Flask to FastAPI, all 40 routes, without downtime."),
    ("heavy", "Plan the migration from MySQL to Postgres with a backfill and a cutover."),
    ("heavy", "Port this codebase from Python 2 to Python 3"),
    ("heavy", "Upgrade Django 2.2 to 5.1: list breaking changes, then do the migration in steps."),
    (
        "heavy",
        "Convert the frontend from Redux to Zustand: migrate every module, keep tests green.",
    ),
    ("heavy", "Schema change: split users.name into two columns with a zero-downtime migration"),
    # --- large refactors and hard bugs ---
    (
        "heavy",
        "Refactor the payment module across the whole codebase:\n"
        "1. extract an interface from src/pay/stripe.py and src/pay/adyen.py\n"
        "2. move retries to src/pay/retry.py\n3. update all call sites in src/shop/cart.py, "
        "src/shop/order.py and src/admin/refund.py\n4. keep the public API of src/pay/__init__.py",
    ),
    (
        "heavy",
        "There is a race condition between the cache and the writer. Debug it. Files: "
        "store/cache.rs, store/writer.rs, store/flush.rs, store/index.rs, net/server.rs\n"
        "thread 'main' panicked at store/cache.rs:88\nthread 'w' panicked at store/flush.rs:12\n"
        "I suspect the concurrency in the queue; design a fix that keeps throughput.",
    ),
    # --- normal coding ---
    ("default", "Add a --json flag to the list command"),
    ("default", "Write a function that parses ISO 8601 durations in TypeScript"),
    ("default", "Add pagination to GET /users"),
    ("default", "Implement dark mode for the settings page using our theme context"),
    ("default", "Fix this bug: the date picker shows the wrong month in Safari"),
    ("default", "The test test_login fails with AssertionError: 401 != 200. Fix it."),
    ("default", "Refactor utils.py: extract the date functions into dates.py"),
    ("default", "Write unit tests for src/parser.py"),
    ("default", "Create a React component for a file tree with keyboard navigation"),
    ("default", "Add retries with exponential backoff to the http client"),
    ("default", "Make the sidebar collapsible"),
    ("default", "Why does useEffect run twice here?"),
    ("default", "Add a new column 'nickname' to the users table view"),
    ("default", "Convert this callback code to async/await"),
    ("default", "Set up eslint and prettier in this project"),
    ("default", "Write a Dockerfile for this Node app"),
    ("default", "Fix the typo in SECURITY.md"),
    ("default", "rename the function migrate_all to run_all"),
    ("default", "Just bump the version to 2.1.0 in package.json and update the changelog"),
    ("default", "Explain what this regex does: ^(?:a|b)+$"),
    ("default", "What is the difference between a mutex and a semaphore?"),
    ("default", "How do I run only one test with pytest?"),
    ("default", "Add docstrings to all functions in client.py"),
    ("default", "Update the README with the new install steps"),
    (
        "default",
        "Traceback (most recent call last):\n  File 'a.py', line 3\nKeyError: 'id'\n\nfix this",
    ),
    ("default", "Add a quick link to the security page in the footer"),
    ("default", "Write a bash script that renames all .jpeg files to .jpg"),
    ("default", "Add a loading spinner while the request is pending"),
    ("default", "Show an error message when the form is submitted empty"),
    ("default", "Use the new logger instead of print in worker.py"),
    ("default", "Please add type hints to models.py and fix what mypy reports"),
    ("default", "The button label should be 'Save', not 'Submit'"),
    ("default", "Sort imports and remove dead code in handlers/"),
    ("default", "hi"),
    ("default", "continue"),
    ("default", "Write a Python script that downloads all images of a web page"),
    ("default", "Add caching to the product list endpoint, 5 minutes"),
    ("default", "Generate a Go struct from this JSON"),
    ("default", "Implement binary search on a rotated array and explain the complexity"),
    ("default", "Can you make the table sortable by clicking the header?"),
    # --- what nobody will continue ---
    ("small", "Generate a title for this conversation:\n"),
    ("small", "Write a commit message for these changes:\n\ndiff --git a/a.py b/a.py\n-x\n+y"),
    (
        "small",
        "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history",
    ),
    ("small", "Given the following conversation, please reply with a title for the chat"),
    ("small", "<|fim_prefix|>def add(a, b):\n    return <|fim_suffix|>\n<|fim_middle|>"),
    (
        "small",
        "Summarize this conversation in one sentence:\nUser: migrate the production database",
    ),
    ("small", "Generate an enhanced version of this prompt (reply with only the prompt): fix prod"),
    ("small", "Classify the following issue as bug, feature or question: login is broken"),
    # --- of all kinds, written after the words were chosen ---
    (
        "heavy",
        "our staging db got wiped by a bad terraform apply, walk me through recovering it and "
        "making sure it can't happen again",
    ),
    (
        "heavy",
        "I'd like to move us from REST to gRPC between services. What would a rollout look like?",
    ),
    ("heavy", "Users report they can see each other's invoices. Find out how."),
    (
        "heavy",
        "Look at the codebase and propose how we could support offline mode with conflict "
        "resolution",
    ),
    ("heavy", "Pods in prod keep crashlooping after the 14.2 release, here are the logs"),
    ("heavy", "Move the monorepo from webpack to vite and from npm to pnpm workspaces"),
    ("heavy", "Design a plugin system for our CLI so third parties can ship commands"),
    ("heavy", "Please do a security review of this PR"),
    (
        "heavy",
        "Evaluate whether we should use Kafka or NATS for our event pipeline given 50k msg/s "
        "and 3 regions",
    ),
    (
        "heavy",
        "We store passwords with md5. Replace it with argon2 and migrate existing users "
        "transparently.",
    ),
    ("heavy", "Implement row level security for all tables and check every query for tenant leaks"),
    (
        "heavy",
        "The replication lag grows until the primary runs out of disk in production. Diagnose.",
    ),
    (
        "heavy",
        "Rewrite the scheduler so it scales to many workers; think about fairness, starvation "
        "and failover",
    ),
    ("default", "add a favicon"),
    ("default", "npm run build fails with 'Module not found: ./Button'. please fix"),
    ("default", "Extract this inline style into a css class"),
    ("default", "The search box should debounce input by 300ms"),
    ("default", "write tests for the cart reducer"),
    ("default", "Why is my docker build so slow?"),
    ("default", "make a landing page for my bakery with a hero, a menu and a contact form"),
    ("default", "Port this function from Java to Kotlin"),
    ("default", "Add logging to the production config loader"),
    ("default", "in the search resume command, show the newest first"),
    ("default", "Implement the Stack class from the exercise description"),
    ("default", "Create an alembic migration that adds an index on orders.created_at"),
    ("default", "Add an optional `timeout` argument to `fetch_all` and pass it through"),
    ("default", "The CSV export has wrong line endings on Windows"),
    ("default", "Could you upgrade lodash to the latest patch version?"),
    ("default", "Delete the unused feature flag new_nav"),
    ("default", "Explain how the auth middleware works in this repo"),
    ("default", "Write me a regex to validate email addresses"),
    ("default", "Hook up the save button so it calls POST /api/notes and shows a toast"),
    ("default", "what's in this repo?"),
    ("small", "Please write a 5-10 word title the following conversation:\n\nUser: hi"),
    ("small", "Summarize this coding conversation in under 50 characters.\nCapture the main task"),
    ("small", "Suggest 3-5 relevant follow-up questions based on the chat history below"),
    (
        "heavy",
        "Half of the webhooks were lost last night, figure out where they went and fix it for good",
    ),
    (
        "heavy",
        "Our CI secrets showed up in a public log. What needs rotating and how do we prevent it?",
    ),
    ("heavy", "Plan how to replace our home-grown ORM with SQLAlchemy"),
    ("heavy", "Work out a caching strategy for the whole API including invalidation"),
    ("heavy", "We're seeing 5xx spikes in prod every hour on the hour"),
    ("heavy", "Sketch the domain model and module boundaries for a booking platform"),
    ("heavy", "Check this code for injection vulnerabilities"),
    ("heavy", "upgrade from Angular 14 to 19"),
    ("default", "Make the header sticky"),
    ("default", "I get TypeError: undefined is not a function in cart.js line 12"),
    ("default", "Add a unit test for parse_date"),
    ("default", "Rename variable foo to bar everywhere in this file"),
    ("default", "Write SQL to get the top 10 customers by revenue"),
    ("default", "Add an env var for the upload limit"),
    ("default", "change the primary color to teal"),
    ("default", "What does git rebase --onto do?"),
    ("default", "Build a small REST endpoint that returns server time"),
    ("default", "Document the public functions in lib/math.ts"),
    ("small", "Please generate a concise title for this chat"),
    ("small", "Write a short commit message for the following diff:\n- a\n+ b"),
)
