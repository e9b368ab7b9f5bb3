"""Everything that can go wrong on the way to a model.

    GatewayError
    ├── InvalidRequest          the caller can mend it; names the field
    │   └── PromptTooLong       does not fit the model's context
    ├── EngineUnavailable       no engine to answer: starting, dead, or shutting down
    ├── EngineStartFailed       the engine could not be brought up
    ├── EngineFailed            the engine took the request and broke it
    ├── ModelMissing            an embedded model's files are not there
    ├── ModelUnusable           a model beside the engine cannot be loaded, or is of another kind
    └── DeadlineExceeded        the request's time ran out before there was an answer

The HTTP status of each stands in one table, ``app/errors.py``.
"""


class GatewayError(Exception):
    """Base of every error this project raises on purpose."""


class InvalidRequest(GatewayError):
    """The request cannot be served as it stands; ``field`` names what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class PromptTooLong(InvalidRequest):
    """Prompt and answer together do not fit the model's context."""


class EngineUnavailable(GatewayError):
    """No engine can answer now: it is starting, dead, or shutting down."""


class EngineStartFailed(GatewayError):
    """The engine could not be brought up: the model cannot be loaded, or the process died."""


class EngineFailed(GatewayError):
    """The engine accepted the request and then failed it."""


class ModelMissing(GatewayError):
    """An embedded model that does not exist, or whose files are incomplete."""


class ModelUnusable(GatewayError):
    """A model beside the engine that cannot be loaded, or is not of the kind it is needed for."""


class DeadlineExceeded(GatewayError):
    """The request's deadline passed before an answer existed."""
