"""Evidence over HTTP: asks a retriever of the operator's for passages on a question.

``POST URL {"query": text, "k": 8}`` is answered by ``{"documents": [text, …]}``, best first. What
goes wrong there is a reason why a stage has no evidence, never a failed request.
"""

import httpx
from pydantic import BaseModel, ValidationError

from ucbd.models.errors import GatewayError

PASSAGES = 8
_MOST_BYTES = 1024 * 1024


class RetrieverFailed(GatewayError):
    """No evidence could be had, and why."""


class _Found(BaseModel):
    documents: list[str]


class HttpRetriever:
    """One retriever; connections are kept. The request's deadline is the only time limit."""

    def __init__(self, url: str) -> None:
        self._url = url
        # The stage runs within the request's deadline, which cancels this; a limit of its own
        # would only be a second one.
        self._client = httpx.AsyncClient(timeout=None)  # noqa: S113

    async def retrieve(self, question: str) -> list[str]:
        """See ``Retriever``. Raises ``RetrieverFailed``."""
        asked = {"query": question, "k": PASSAGES}
        try:
            async with self._client.stream("POST", self._url, json=asked) as response:
                if response.status_code != httpx.codes.OK:
                    raise RetrieverFailed(f"the retriever answered {response.status_code}")
                body = await _bounded(response)
            return _Found.model_validate_json(body).documents[:PASSAGES]
        except httpx.HTTPError as error:
            raise RetrieverFailed(f"the retriever: {error or type(error).__name__}") from error
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise RetrieverFailed(f"the retriever's documents cannot be read: {reason}") from error


async def _bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MOST_BYTES:
            raise RetrieverFailed(f"the retriever sent more than {_MOST_BYTES:,} bytes")
    return bytes(body)
