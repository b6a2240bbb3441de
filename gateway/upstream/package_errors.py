"""What the official package raises, as the gateway's own errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import anthropic
import httpx2

from gateway.errors import UpstreamCutError, UpstreamTimeoutError, UpstreamUnreachableError
from gateway.protocols.shared.failures import upstream_error


@contextmanager
def upstream_errors() -> Iterator[None]:
    """What the package raises inside, as UpstreamError, also while an answer is read."""
    try:
        yield
    except anthropic.APIStatusError as error:
        response = error.response
        raise upstream_error(response.status_code, response.headers, response.content) from None
    except (anthropic.APITimeoutError, httpx2.TimeoutException) as error:
        raise UpstreamTimeoutError(
            "the upstream did not answer in time", status=504, retryable=True
        ) from error
    except anthropic.APIConnectionError as error:
        raise UpstreamUnreachableError(
            "the upstream cannot be reached", retryable=True, detail=type(error).__name__
        ) from error
    except httpx2.HTTPError as error:  # the package leaves those of a body as they are
        raise UpstreamCutError(
            "the upstream closed the connection before the answer was complete",
            retryable=True,
            detail=type(error).__name__,
        ) from error
