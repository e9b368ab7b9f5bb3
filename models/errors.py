"""Everything that can go wrong on the way to a model.

    GatewayError
    ├── InvalidRequest          the caller can mend it; names the field
    │   └── PromptTooLong       does not fit the model's context
    ├── EngineUnavailable       no engine to answer: starting, dead, or shutting down
    │   ├── UpstreamUnreachable     no server there, or its circuit is open
    │   └── UpstreamBusy            the server is full, and says when to come again
    ├── EngineStartFailed       the engine could not be brought up
    ├── EngineFailed            the engine took the request and broke it
    │   └── UpstreamFailed          a server answered with an error, or with nonsense
    ├── ModelMissing            an embedded model's files are not there
    ├── ModelUnusable           a model beside the engine cannot be loaded, or is of another kind
    ├── DeadlineExceeded        the request's time ran out before there was an answer
    ├── StoreUnusable           the store of records cannot be opened as it stands
    ├── StoreFailed             the store did not keep what it was given
    ├── UnknownRecord           no record of that id
    └── ContradictoryLabel      the record has the opposite label already

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
    """No engine can answer now: it is starting, dead, or shutting down.

    ``retry_after`` are the seconds after which one is expected; None when that is not known.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UpstreamUnreachable(EngineUnavailable):
    """Nothing answers at the upstream's address, or it hung up before it answered."""


class UpstreamBusy(EngineUnavailable):
    """The upstream has no room; ``retry_after`` is its own word, where it says when."""


class EngineStartFailed(GatewayError):
    """The engine could not be brought up: the model cannot be loaded, or the process died."""


class EngineFailed(GatewayError):
    """The engine accepted the request and then failed it."""


class UpstreamFailed(EngineFailed):
    """The upstream answered with an error of its own, or with what is no answer.

    ``began`` tells whether its answer had begun: then the call is not to be made again.
    """

    def __init__(self, message: str, *, began: bool = True) -> None:
        super().__init__(message)
        self.began = began


class ModelMissing(GatewayError):
    """An embedded model that does not exist, or whose files are incomplete."""


class ModelUnusable(GatewayError):
    """A model beside the engine that cannot be loaded, or is not of the kind it is needed for."""


class DeadlineExceeded(GatewayError):
    """The request's deadline passed before an answer existed."""


class StoreUnusable(GatewayError):
    """The store of records cannot be opened: not a database, of a newer schema, in use."""


class StoreFailed(GatewayError):
    """The store did not keep what it was given: the disk is full, the connection lost."""


class UnknownRecord(GatewayError):
    """The store has no record of that id."""


class ContradictoryLabel(GatewayError):
    """The record has the opposite label already; nothing was overwritten."""
