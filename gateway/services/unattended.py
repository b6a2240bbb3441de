"""What requests that no client waits for are made of, from the parts of live ones."""

from gateway.context import Caller
from gateway.pipeline.attempts import Attempts
from gateway.pipeline.live import LivePipeline
from gateway.pipeline.unattended import CollectedUsage
from gateway.projects import BOOTSTRAP_KEY_ID, Projects
from gateway.reliability.retry import RetryPolicy
from gateway.storage.project_store import ProjectStore
from gateway.structs import Struct, replace

_NO_RETRY = RetryPolicy(False, 1, 0.0)  # the durable engine's, which sees every attempt


class StoredCallers(Struct, frozen=True):
    """The callers of requests that were accepted before, with the limits they have now."""

    projects: Projects
    store: ProjectStore

    async def of(self, project_id: str, key_id: str) -> Caller:
        """The caller that the key was. Raises UnavailableError."""
        project_limits: dict[str, float] = {}
        key_limits: dict[str, float] = {}
        if key_id != BOOTSTRAP_KEY_ID:
            project_limits, key_limits = await self.store.limits_of(project_id, key_id)
        return self.projects.caller(project_id, key_id, project_limits, key_limits)


def unattended(live: LivePipeline, usage: CollectedUsage) -> LivePipeline:
    """The steps of a request that no client waits for: one attempt, usage kept with the result."""
    accounting = replace(live.accounting, journal=usage)
    attempts: Attempts = replace(
        live.attempts, policy=_NO_RETRY, on_failure=accounting.attempt_failed, budgets={}
    )
    return replace(live, accounting=accounting, attempts=attempts)
