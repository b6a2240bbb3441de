import pytest

from gateway.telemetry.redaction import REDACTED, Redactor, is_secret_field, redact

CANARY = "Canary0123456789canary"


@pytest.mark.parametrize(
    "text",
    [
        f"key sk-ant-api03-{CANARY}-AA was refused",
        f"sk-proj-{CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"authorization=bearer   {CANARY}",
        f"{{'authorization': 'Bearer {CANARY}'}}",
        f"Authorization: Basic {CANARY}==",
        f"X-API-Key: {CANARY}",
        f'{{"api_key":"{CANARY}"}}',
        f'escaped {{\\"api-key\\": \\"{CANARY}\\"}}',
        f"ANTHROPIC_API_KEY={CANARY}",
        f"X-Origin-Secret: {CANARY}",
        f"Cf-Access-Client-Secret: {CANARY}",
        f"redis://:{CANARY}@127.0.0.1:6379/0",
        f"postgresql+asyncpg://user:p@ss/{CANARY}@db.example.com/gateway",
        f"GET /v1/models?key={CANARY}&limit=1",
        f"password = '{CANARY}'",
        f"Cookie: a=1; session={CANARY}",
        f"token eyJhbGciOi.{CANARY}.{CANARY}",
        "AKIAIOSFODNN7EXAMPLE in text",
        f"ghp_{CANARY}",
        f"AIzaSy{CANARY}",
    ],
)
def test_p59_what_looks_like_a_credential_is_taken_out(text: str) -> None:
    shown = redact(text)
    assert "anary" not in shown
    assert "AKIA" not in shown
    assert REDACTED in shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "claude-sonnet-5-5 answered with 1234 tokens in 0.8 s",
        "input_tokens=12 output_tokens=7",
        "the password is missing",
        "messages[0].content[2].type must be 'text'",
        "http://127.0.0.1:8000/v1/models",
        "connecting to redis://127.0.0.1:6379/0",
        "req_0123456789abcdef01234567",
        "tasks-of-the-day and risk-based-choices",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_the_place_of_a_url_stays_readable() -> None:
    assert (
        redact("redis://me:pw12@cache:6379/1 is down") == f"redis://{REDACTED}@cache:6379/1 is down"
    )


def test_known_secrets_go_whatever_they_look_like() -> None:
    redactor = Redactor(["correct horse", "correct horse battery", "", "abc"])
    assert redactor("try correct horse battery now") == f"try {REDACTED} now"
    assert redactor("abcdef (correct horse)") == f"abcdef ({REDACTED})"


def test_fields_with_the_names_of_credentials_are_known() -> None:
    for name in ("authorization", "X-API-Key", "api_key", "anthropic_api_key", "password", "token"):
        assert is_secret_field(name), name
    for name in ("input_tokens", "token_count", "project", "key_id", "request_id"):
        assert not is_secret_field(name), name
