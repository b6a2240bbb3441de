"""Agents that run in a terminal.

Formats: each program's own documentation and, where docs/clients.md names a version, the program.
"""

from typing import Any

from gateway.cli.clients.files import ConfigFile
from gateway.cli.clients.setup import (
    KEY_VARIABLE,
    PROVIDER,
    TITLE,
    Places,
    Setup,
    existing_or,
)
from gateway.cli.clients.target import Target
from gateway.cli.clients.tree import Default, Records, Tree

_ANSWER_TOKENS = 32_000  # for clients that reserve the whole answer out of the context window


def claude_code(target: Target, places: Places) -> Setup:
    """`env` of the user's settings, which wins over the shell."""
    env: Tree = {
        "ANTHROPIC_BASE_URL": target.root_url,
        "ANTHROPIC_AUTH_TOKEN": target.api_key,
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
    }
    if target.model_named:
        env["ANTHROPIC_MODEL"] = target.model
    path = places.named("CLAUDE_CONFIG_DIR", ".claude") / "settings.json"
    return Setup(
        files=(ConfigFile(path, "json", {"env": env}, secret=True),),
        notes=(
            "Unset ANTHROPIC_API_KEY: Claude Code would send it too, and it is read first.",
            "Claude Code picks its models itself; --model names one for good.",
            "/status shows the base URL in use, /model lists the gateway's models.",
        ),
    )


def codex(target: Target, places: Places) -> Setup:
    """A provider of the user's config.toml; its key stays in the environment."""
    wanted: Tree = {
        "model": target.model,
        "model_provider": PROVIDER,
        "model_context_window": target.serves.context_tokens,
        "model_providers": {
            PROVIDER: {
                "name": TITLE,
                "base_url": target.base_url,
                "env_key": KEY_VARIABLE,
                "wire_api": "responses",
            }
        },
    }
    path = places.named("CODEX_HOME", ".codex") / "config.toml"
    return Setup(
        files=(ConfigFile(path, "toml", wanted, secret=False),),
        environment={KEY_VARIABLE: target.api_key},
        notes=(
            "Codex warns that it has no metadata for the model; it works all the same.",
            "A profile file (~/.codex/NAME.config.toml) can override model and model_provider.",
        ),
    )


def opencode(target: Target, places: Places) -> Setup:
    """A provider of the user's opencode.json or opencode.jsonc."""
    usual = existing_or(places.config_home / "opencode", "opencode.json", "opencode.jsonc")
    path = places.named("OPENCODE_CONFIG", str(usual))
    wanted = _ai_sdk_provider(target, "https://opencode.ai/config.json")
    return Setup(files=(ConfigFile(path, "json", wanted, secret=True),))


def kilo(target: Target, places: Places) -> Setup:
    """A provider of the user's kilo.json, which the command and the extension share."""
    path = existing_or(places.config_home / "kilo", "kilo.json", "kilo.jsonc")
    wanted = _ai_sdk_provider(target, "https://app.kilo.ai/config.json")
    return Setup(
        files=(ConfigFile(path, "json", wanted, secret=True),),
        notes=(
            "The VS Code extension (7.0 and newer) reads the same file; in its settings this is "
            "Providers > Custom provider > OpenAI Compatible.",
        ),
    )


def _ai_sdk_provider(target: Target, schema: str) -> Tree:
    return {
        "$schema": Default(schema),
        "provider": {
            PROVIDER: {
                "npm": "@ai-sdk/openai-compatible",
                "name": TITLE,
                "options": {"baseURL": target.base_url, "apiKey": target.api_key},
                "models": {
                    target.model: {
                        "name": target.model,
                        "tool_call": True,
                        "attachment": True,
                        "limit": {
                            "context": target.serves.context_tokens,
                            "output": target.serves.max_output_tokens,
                        },
                    }
                },
            }
        },
        "model": f"{PROVIDER}/{target.model}",
    }


def qwen_code(target: Target, places: Places) -> Setup:
    """A model of the user's settings, with its key in their `env`."""
    model: Tree = {
        "id": target.model,
        "name": f"{target.model} ({TITLE})",
        "baseUrl": target.base_url,
        "envKey": KEY_VARIABLE,
        "generationConfig": {"contextWindowSize": target.serves.context_tokens},
    }
    wanted: Tree = {
        "modelProviders": {"openai": Records("id", (model,))},
        "env": {KEY_VARIABLE: target.api_key},
        "security": {"auth": {"selectedType": "openai"}},
        "model": {"name": target.model},
    }
    path = places.named("QWEN_HOME", ".qwen") / "settings.json"
    return Setup(
        files=(ConfigFile(path, "json", wanted, secret=True),),
        notes=(f"{KEY_VARIABLE} in the shell or in a .env file wins over the one in the file.",),
    )


def crush(target: Target, places: Places) -> Setup:
    """A provider of the user's crush.json, and the models Crush starts with."""
    model: Tree = {
        "id": target.model,
        "name": target.model,
        "context_window": target.serves.context_tokens,
        "default_max_tokens": _ANSWER_TOKENS,
        "can_reason": bool(target.serves.thinking),
        "supports_attachments": True,
    }
    chosen: dict[str, Any] = {"provider": PROVIDER, "model": target.model}
    wanted: Tree = {
        "$schema": Default("https://charm.land/crush.json"),
        "providers": {
            PROVIDER: {
                "name": TITLE,
                "type": "openai-compat",
                "base_url": target.base_url,
                "api_key": target.api_key,
                "models": Records("id", (model,)),
            }
        },
        "models": {"large": chosen, "small": Default(chosen)},
    }
    usual = str(places.config_home / "crush")
    path = places.named("CRUSH_GLOBAL_CONFIG", usual) / "crush.json"
    notes = ["A model picked inside Crush is kept in ~/.local/share/crush/crush.json, which wins."]
    if "$" in target.api_key:
        notes.append("Crush reads $ in a key as the start of a variable: choose another key.")
    files = (ConfigFile(path, "json", wanted, secret=True),)
    return Setup(files=files, notes=tuple(notes))


def aider(target: Target, places: Places) -> Setup:
    """The user's .aider.conf.yml, and what aider must know of the model."""
    model = f"openai/{target.model}"
    wanted: Tree = {
        "model": model,
        "openai-api-base": target.base_url,
        "openai-api-key": target.api_key,
        "edit-format": Default("diff"),
    }
    limits: Tree = {
        model: {
            "max_input_tokens": target.serves.context_tokens,
            "max_output_tokens": target.serves.max_output_tokens,
            "litellm_provider": "openai",
            "mode": "chat",
        }
    }
    return Setup(
        files=(
            ConfigFile(places.home / ".aider.conf.yml", "yaml", wanted, secret=True),
            ConfigFile(places.home / ".aider.model.metadata.json", "json", limits, secret=False),
        ),
        notes=(
            "Files of the same names in the repository and in the current directory win.",
            f"For one run: OPENAI_API_BASE, OPENAI_API_KEY and `aider --model {model}`.",
        ),
    )
