"""Settings: what makes prompts and answers cheaper."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field


class ReductionSettings(BaseModel):
    """What makes prompts and answers cheaper."""

    enable_anthropic_cache_control: bool = Field(
        default=True, description="Set prompt cache marks where the next turn can read them"
    )
    client_cache_marks: Literal["add", "keep", "replace"] = Field(
        default="add",
        description="A client's own marks: add to them, keep only them, or replace them",
    )
    cache_lifetime: Literal["auto", "5m", "1h"] = Field(
        default="auto", description="Lifetime of the marks; auto: what is expected to be cheaper"
    )
    move_volatile_lines: bool = Field(
        default=True,
        description="Send system lines that change each turn, such as clocks, behind the history",
    )
    enable_file_hash_cache: bool = Field(
        default=True, description="Send repeated text as a reference to its earlier copy"
    )
    file_hash_cache_ttl: int = Field(
        default=3600,
        ge=60,
        description="Seconds that what was read and sent of a conversation is remembered",
    )
    references_chat: Literal["off", "whole", "runs"] = Field(
        default="runs",
        description="Chats without tools: no references, of identical texts, or of runs of lines",
    )
    references_agent: Literal["off", "whole", "runs"] = Field(
        default="whole", description="The same for conversations with tools"
    )
    system_max_chars: int = Field(
        default=40_000, ge=0, description="A longer system text loses its middle; 0 = off"
    )
    user_msg_max_chars: int = Field(
        default=120_000, ge=0, description="A longer text of the user loses its middle; 0 = off"
    )
    tool_result_max_chars: int = Field(
        default=20_000,
        ge=0,
        description="A longer tool result, file reads excepted, loses its middle; 0 = off",
    )
    tool_kinds_file: Path | None = Field(
        default=None, description="TOML file laid over the packaged list of tools that read files"
    )
    strip_ide_boilerplate: bool = Field(
        default=True, description="Leave out instruction blocks that IDEs are known to repeat"
    )
    boilerplate_file: Path | None = Field(
        default=None, description="TOML file laid over the packaged list of such blocks"
    )
    enforce_diff_first: bool = Field(
        default=True,
        description="Ask for diffs instead of whole files where the client has no edit tools",
    )
    enable_cold_compaction: bool = Field(
        default=False, description="Shorten old tool results when the prompt cache has expired"
    )
    enable_context_pruning: bool = Field(
        default=False, description="Cut long conversations in rare big steps, with a summary"
    )
    context_max_tokens: int = Field(
        default=100_000, ge=8_000, description="Tokens at which a conversation is cut"
    )
    context_strategy: Literal["extract", "model", "anthropic_clear", "anthropic_compact"] = Field(
        default="extract",
        description="Who shortens: quoted extracts, SMALL_MODEL, or the API's own context editing "
        "or compaction where the model has it",
    )
    enable_append_log: bool = Field(
        default=False,
        description="For clients that rewrite their history: send what is new behind what was sent",
    )
    enable_messages_reduction: bool = Field(
        default=False,
        description="Set cache marks on requests to /v1/messages too; 0 = byte for byte",
    )
    reduction_holdout: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of conversations that go untouched, to prove the saving",
    )
    bench_clock: bool = Field(
        default=False, description="Take the time of pauses from the header x-bench-time; for tests"
    )
    response_cache: Literal["off", "deterministic", "all"] = Field(
        default="deterministic",
        description="Answers kept for identical requests: none, of temperature 0, or all of text",
    )
    cache_ttl_seconds: int = Field(
        default=1800, ge=1, description="Seconds that answers are kept for identical requests"
    )
    semantic_cache_threshold: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Similarity from which a chat without tools gets a kept answer; 0 = off",
    )
