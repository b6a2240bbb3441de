"""Writes the bodies of the golden requests anew: `python -m tests.golden.regenerate_requests`."""

from tests.golden.test_golden_requests import CASES, upstream_body


def main() -> None:
    """Overwrites every expected body with what the translation gives now."""
    for expected in CASES:
        expected.write_bytes(upstream_body(expected) + b"\n")


if __name__ == "__main__":
    main()
