"""Token estimates and image sizes."""

from simulator.images import image_facts, image_tokens
from simulator.tokens import LengthCounter, TokenizerCounter, scaled


def test_the_packaged_tokenizer_counts_without_a_network() -> None:
    counter = TokenizerCounter()
    text = "def add(a, b):\n    return a + b\n" * 20
    count = counter.count(text)
    assert len(text) / 6 < count < len(text)
    assert counter.count(text) == count
    assert counter.count("x" * 100_000) > 1000


def test_newer_families_count_about_a_third_more() -> None:
    assert scaled(1000, 1.43) / scaled(1000, 1.1) > 1.25
    assert scaled(0, 1.43) == 0


def test_instant_counts_by_length() -> None:
    assert LengthCounter().count("abcdefgh") == 2


def test_image_tokens_follow_patches_and_the_cap() -> None:
    assert image_tokens(28, 28, 1568) == 1
    assert image_tokens(29, 28, 1568) == 2
    assert image_tokens(8000, 8000, 1568) == 1568


def test_image_headers_are_read() -> None:
    gif = b"GIF89a" + (3).to_bytes(2, "little") + (5).to_bytes(2, "little") + b"\0" * 20
    jpeg = (
        b"\xff\xd8\xff\xe0\x00\x10"
        + b"\0" * 14
        + b"\xff\xc0\x00\x11\x08\x00\x07\x00\x09"
        + b"\0" * 12
    )
    webp = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0" + (9).to_bytes(3, "little") * 2
    found = [image_facts(data) for data in (gif, jpeg, webp)]
    assert [(f.media_type, f.width, f.height) for f in found if f] == [
        ("image/gif", 3, 5),
        ("image/jpeg", 9, 7),
        ("image/webp", 10, 10),
    ]
    assert image_facts(b"nothing") is None
