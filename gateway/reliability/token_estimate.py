"""How many tokens a request may take, by the length of its body, before it is read."""

_BYTES_PER_TOKEN = 4  # of the JSON of a chat; 3.3 to 4.5 in recorded sessions
_OUTPUT_TOKENS = 1_000
_IMAGE_TOKENS = 1_600  # the most the API counts for an image of the size it is shrunk to
_LONG_DATA_BYTES = 4_096
_MARKS = (b";base64,", b'"data":"', b'"data": "')


def estimated_tokens(body: bytes) -> int:
    """Prompt and answer of a request, roughly; images and documents by their number."""
    text_bytes, files = len(body), 0
    if len(body) > _LONG_DATA_BYTES:
        for mark in _MARKS:
            for length in _data_lengths(body, mark):
                text_bytes -= length
                files += 1
    return text_bytes // _BYTES_PER_TOKEN + files * _IMAGE_TOKENS + _OUTPUT_TOKENS


def _data_lengths(body: bytes, mark: bytes) -> list[int]:
    """The lengths of the long strings that follow a mark, to their closing quotes."""
    lengths, at = [], body.find(mark)
    while at >= 0:
        begin = at + len(mark)
        end = body.find(b'"', begin)
        end = len(body) if end < 0 else end
        if end - begin >= _LONG_DATA_BYTES:
            lengths.append(end - begin)
        at = body.find(mark, end)
    return lengths
