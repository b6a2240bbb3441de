"""What `up` says when everything is ready."""

from gateway import wire
from gateway.stack.launch import Ready


def ready_line(ready: Ready) -> str:
    """The one line of `up --json`; a part that came as a URL has no pid here: null."""
    state = ready.state

    def only(group: str) -> int | None:
        return next(iter(state.pids(group)), None)

    return wire.dumps_text(
        {
            "base_url": ready.base_url,
            "api_key": ready.api_key,
            "admin_key": ready.admin_key,
            "dashboard": None,
            "temporal_ui": ready.temporal_ui,
            "data_dir": str(ready.data_dir),
            "pids": {
                "supervisor": state.supervisor.pid,
                "api": state.pids("api"),
                "worker": state.pids("worker"),
                "postgres": only("postgres"),
                "valkey": only("valkey"),
                "temporal": only("temporal"),
            },
        }
    )


def summary(ready: Ready) -> str:
    """Addresses, keys and a command to paste, for a person."""
    lines = [
        "",
        "Coding Gateway is ready.",
        "",
        f"  Base URL     {ready.base_url}",
        f"  API key      {ready.api_key}",
        f"  Admin key    {ready.admin_key}",
        f"  Temporal UI  {ready.temporal_ui or '(none)'}",
        f"  Data         {ready.data_dir}",
        "",
        "Try it:",
        "",
        *_before_trying(ready),
        curl(ready),
        "",
    ]
    return "\n".join(lines) + (f"\n{simulator_banner()}\n" if ready.simulated else "")


def _before_trying(ready: Ready) -> list[str]:
    """What the command to paste needs where the origin is locked; secrets are not printed."""
    lines = []
    if ready.origin_locked:
        lines += [
            "  (ORIGIN_SECRET must be set in this shell first; standing in .env is not enough.)"
        ]
    if ready.behind_access:
        lines += [
            "  (Only what comes through Cloudflare Access is served: use the address behind",
            "  Cloudflare in the place of this one, with what its policy asks for.)",
        ]
    return lines


def curl(ready: Ready) -> str:
    """A streaming chat request, ready to paste."""
    body = '{"model": "auto", "stream": true, "messages": [{"role": "user", "content": "Hello!"}]}'
    origin = '    -H "X-Origin-Secret: $ORIGIN_SECRET" \\\n' if ready.origin_locked else ""
    return (
        f"  curl -N {ready.base_url}/chat/completions \\\n"
        f"    -H 'Authorization: Bearer {ready.api_key}' \\\n{origin}"
        f"    -H 'Content-Type: application/json' \\\n"
        f"    -d '{body}'"
    )


def simulator_banner() -> str:
    """Says loudly that no model answers."""
    edge = "*" * 79
    lines = (
        "THE SIMULATOR ANSWERS, NOT CLAUDE. Answers are canned and cost nothing.",
        "Set ANTHROPIC_API_KEY, in the environment or in .env, and start again for",
        "the real models. Its answers have the header X-Model-Source: simulator.",
    )
    return "\n".join((edge, *(f"*  {line:<{len(edge) - 6}}  *" for line in lines), edge))
