"""Lines of a file to submit: plain bodies, or lines as OpenAI's batches have them."""

from collections.abc import Iterable
from pathlib import Path
from typing import IO

from gateway import wire
from gateway.cli.http_calls import CallError
from gateway.wire import JSONObject

_DEFAULT_ENDPOINT = "/v1/chat/completions"


class BatchLines:
    """Turns lines into those that a batch is made of; `endpoint` is known after the first."""

    def __init__(self, model: str, endpoint: str | None) -> None:
        self.endpoint = endpoint or ""
        self.count = 0
        self._model = model

    def copy(self, source: Iterable[bytes], name: Path, out: IO[bytes]) -> None:
        """Writes every line that is not blank to `out`. Raises CallError with the line's number."""
        for number, line in enumerate(source, 1):
            if line.strip():
                try:
                    out.write(wire.dumps(self._line(line, number)) + b"\n")
                except (wire.JSONDecodeError, TypeError) as error:
                    raise CallError(f"{name}, line {number}: not a JSON object") from error
                self.count += 1
        if not self.count:
            raise CallError(f"{name} has no lines")
        self.endpoint = self.endpoint or _DEFAULT_ENDPOINT

    def _line(self, data: bytes, number: int) -> JSONObject:
        line = wire.loads(data)
        if not isinstance(line, dict):
            raise TypeError("not an object")
        if isinstance(line.get("body"), dict) and isinstance(line.get("url"), str):
            self.endpoint = self.endpoint or line["url"]
            return line
        self.endpoint = self.endpoint or _DEFAULT_ENDPOINT
        custom_id = line.pop("custom_id", f"line-{number}")
        line.setdefault("model", self._model)
        return {"custom_id": custom_id, "method": "POST", "url": self.endpoint, "body": line}
