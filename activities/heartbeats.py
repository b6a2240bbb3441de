"""Signs of life of activities whose work takes long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

_BEAT_SECONDS = 5.0


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Tells Temporal that the activity is alive, which also brings cancellations."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(_BEAT_SECONDS)

    task = asyncio.ensure_future(beat())
    try:
        yield
    finally:
        task.cancel()
