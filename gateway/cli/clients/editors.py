"""Editors and their extensions. Those that keep keys in their own store get steps instead."""

from gateway.cli.clients.files import ConfigFile
from gateway.cli.clients.setup import KEY_VARIABLE, PROVIDER, TITLE, Places, Setup
from gateway.cli.clients.target import Target
from gateway.cli.clients.tree import Default, Records, Tree


def cursor(target: Target, places: Places) -> Setup:
    """Cursor's settings window."""
    del places  # Cursor keeps its keys in its own store
    notes = [
        "While the override is on, Cursor uses it for its own OpenAI models too; Tab completion "
        "and background agents never use it.",
    ]
    if target.prefix:
        notes.append(
            "Cursor sends names it knows as Claude's to Anthropic. The prefix keeps them here; "
            f"{target.prefix}auto, which is routed by what is asked, has no such name in it."
        )
    if target.is_private:
        notes.append(
            f"Cursor's servers make the calls and cannot reach {target.base_url}: give the gateway "
            "a public https address, a tunnel for example, and use that one."
        )
    return Setup(
        steps=(
            "Cursor Settings > Models > API Keys",
            f"OpenAI API Key: {target.api_key}",
            f"Override OpenAI Base URL, switched on: {target.base_url}",
            f"Models > Add model: {target.prefixed_model}",
            "Switch the new model on and pick it in the chat panel.",
        ),
        notes=tuple(notes),
    )


def continue_dev(target: Target, places: Places) -> Setup:
    """A model of the user's config.yaml, which extension and command share."""
    model: Tree = {
        "name": TITLE,
        "provider": "openai",
        "model": target.model,
        "apiBase": target.base_url,
        "apiKey": target.api_key,
        "roles": Default(["chat", "edit", "apply"]),
        "capabilities": Default(["tool_use", "image_input"]),
        "defaultCompletionOptions": {
            "contextLength": target.serves.context_tokens,
            "maxTokens": Default(32_000),
        },
    }
    wanted: Tree = {
        "name": Default("Local"),
        "version": Default("1.0.0"),
        "schema": Default("v1"),
        "models": Records("name", (model,)),
    }
    path = places.named("CONTINUE_GLOBAL_DIR", ".continue") / "config.yaml"
    return Setup(
        files=(ConfigFile(path, "yaml", wanted, secret=True),),
        notes=("A config.json beside it is ignored once config.yaml is there.",),
    )


def zed(target: Target, places: Places) -> Setup:
    """A provider of the user's settings; the key goes into the keychain or the environment."""
    model: Tree = {
        "name": target.model,
        "display_name": f"{target.model} ({TITLE})",
        "max_tokens": target.serves.context_tokens,
        "max_output_tokens": target.serves.max_output_tokens,
        "capabilities": {
            "tools": True,
            "images": True,
            "parallel_tool_calls": True,
            "prompt_cache_key": False,
            "chat_completions": True,
            "interleaved_reasoning": True,
        },
    }
    wanted: Tree = {
        "language_models": {
            "openai_compatible": {
                PROVIDER: {
                    "api_url": target.base_url,
                    "available_models": Records("name", (model,)),
                }
            }
        },
        "agent": {"default_model": {"provider": PROVIDER, "model": target.model}},
    }
    path = places.config_home / "zed" / "settings.json"
    return Setup(
        files=(ConfigFile(path, "json", wanted, secret=False),),
        environment={KEY_VARIABLE: target.api_key},
        notes=(
            "Zed does not read keys from its settings. Enter the key under Settings > AI > LLM "
            f"Providers > {PROVIDER}, or start Zed from a shell that has the variable.",
        ),
    )


def cline(target: Target, places: Places) -> Setup:
    """The extension's settings panel; the command has one of its own."""
    del places  # keys live in the secret store of VS Code
    return Setup(
        steps=(
            "In VS Code: the gear of the Cline panel",
            "API Provider: OpenAI Compatible",
            f"Base URL: {target.base_url}",
            f"OpenAI Compatible API Key: {target.api_key}",
            f"Model ID: {target.model}",
            *_model_configuration(target),
            "For the command: cline auth --provider openai-compatible "
            f"--apikey {target.api_key} --baseurl {target.base_url} --modelid {target.model}",
        ),
    )


def roo(target: Target, places: Places) -> Setup:
    """The extension's settings panel."""
    del places  # keys live in the secret store of VS Code
    return Setup(
        steps=(
            "In VS Code: the gear of the Roo Code panel > Providers",
            "API Provider: OpenAI Compatible",
            f"Base URL: {target.base_url}",
            f"API Key: {target.api_key}",
            f"Model: {target.model}",
            *_model_configuration(target),
        ),
        notes=(
            "Roo Code ended in May 2026; its fork Zoo Code has the same panel, "
            "and `coding-gateway connect kilo` is for the other descendant.",
        ),
    )


def _model_configuration(target: Target) -> tuple[str, ...]:
    return (
        f"Model Configuration: Context Window {target.serves.context_tokens}, "
        f"Max Output Tokens {target.serves.max_output_tokens}, Supports Images on",
    )
