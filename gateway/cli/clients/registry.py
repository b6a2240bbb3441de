"""Every client `coding-gateway connect` knows."""

from gateway.cli.clients import editors, sdks, terminal
from gateway.cli.clients.setup import Client

CLIENTS = (
    Client("cursor", "Cursor", "settings window", editors.cursor),
    Client("continue", "Continue", "~/.continue/config.yaml", editors.continue_dev),
    Client("cline", "Cline", "settings panel", editors.cline),
    Client("roo", "Roo Code", "settings panel", editors.roo),
    Client("kilo", "Kilo Code", "~/.config/kilo/kilo.json", terminal.kilo),
    Client("aider", "aider", "~/.aider.conf.yml", terminal.aider),
    Client("codex", "Codex CLI", "~/.codex/config.toml", terminal.codex),
    Client("claude-code", "Claude Code", "~/.claude/settings.json", terminal.claude_code),
    Client("opencode", "opencode", "~/.config/opencode/opencode.json", terminal.opencode),
    Client("qwen-code", "Qwen Code", "~/.qwen/settings.json", terminal.qwen_code),
    Client("crush", "Crush", "~/.config/crush/crush.json", terminal.crush),
    Client("zed", "Zed", "~/.config/zed/settings.json", editors.zed),
    Client("openai-python", "openai for Python", "code", sdks.openai_python),
    Client("openai-js", "openai for JavaScript", "code", sdks.openai_js),
    Client("anthropic-python", "anthropic for Python", "code", sdks.anthropic_python),
    Client("vercel-ai-sdk", "Vercel AI SDK", "code", sdks.vercel_ai_sdk),
    Client("langchain", "LangChain", "code", sdks.langchain),
)


def find_client(name: str) -> Client:
    """The client of that name. Raises KeyError."""
    return {client.name: client for client in CLIENTS}[name]
