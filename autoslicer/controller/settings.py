"""The controller's settings: flags of `autoslicer run`, each also as AUTOSLICER_<NAME> in the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from autoslicer.cluster.lease import LeaseTimings
from autoslicer.core.pacing.fleet import FleetLimits
from autoslicer.core.pacing.spacing import USUAL_SECONDS

_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _namespace() -> str:
    """The pod's own namespace, else the one of the manifests."""
    return _POD_NAMESPACE.read_text().strip() if _POD_NAMESPACE.exists() else "autoslicer-system"


class Settings(BaseSettings):
    """Everything that can be set; times in seconds."""

    model_config = SettingsConfigDict(env_prefix="AUTOSLICER_", extra="ignore")

    kubeconfig: str = ""
    context: str = ""
    namespace: str = Field(default_factory=_namespace)
    metrics_address: str = ":8080"
    log_format: Literal["text", "json"] = "text"
    idle_confirm_seconds: Seconds = 1.0
    publish_settle_seconds: Seconds = 5.0
    ready_spacing_seconds: Seconds = USUAL_SECONDS
    retry_backoff_seconds: Seconds = 30.0
    starts_per_minute: Annotated[int, Field(ge=1)] = 30
    breaker_failures: Annotated[int, Field(ge=0)] = 3
    recommendation_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 86400.0
    lease_duration_seconds: int = 15
    renew_deadline_seconds: int = 10
    retry_period_seconds: int = 2

    def lease_timings(self) -> LeaseTimings:
        """The three times of the Lease."""
        return LeaseTimings(
            self.lease_duration_seconds, self.renew_deadline_seconds, self.retry_period_seconds
        )

    def limits(self) -> FleetLimits:
        """What no demand can raise."""
        return FleetLimits(self.starts_per_minute, self.breaker_failures, self.recommendation_seconds)

    @model_validator(mode="after")
    def _lease(self) -> Self:
        self.lease_timings()
        return self

    @field_validator("metrics_address")
    @classmethod
    def _address(cls, value: str) -> str:
        listen_on(value)
        return value


def listen_on(address: str) -> tuple[str, int]:
    """Host and port of an address such as `:8080` (every interface) or `127.0.0.1:0` (any free port).

    Raises:
        ValueError: it is none.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(
            f"{address!r} is no address to listen on; it should read like :8080 or 127.0.0.1:8080"
        )
    return host.strip("[]") or "0.0.0.0", int(port)
