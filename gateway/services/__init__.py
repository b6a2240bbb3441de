"""The composition root: every client and service of an API process."""

from gateway.services.from_settings import check_settings, temporal_address
from gateway.services.running import Services, running_services

__all__ = ["Services", "check_settings", "running_services", "temporal_address"]
