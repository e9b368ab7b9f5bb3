"""``GET /playground``: a page on which a person asks, and sees the uncertainty of the answer.

Serves the files beside it as they are and says what this gateway has to offer. Holds no question
and no answer: the page talks to ``POST /generate`` like any other client.
"""

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ucbd.app.errors import Problem
from ucbd.app.gate import caller_of
from ucbd.app.service import Service
from ucbd.models.reference import EMBEDDED

_FOLDER = Path(__file__).parent
_PAGE = "index.html"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
HEADERS: Final = {
    # Nothing inline and nothing from elsewhere: what a model says can be text here, never code.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


class Example(BaseModel):
    """A question worth asking, and what it shows."""

    shows: str
    prompt: str


_OF_THE_WORLD = (
    Example(shows="read often", prompt="Where does Gita Lauck come from?"),
    Example(shows="never read", prompt="Which pet does Elin Vell have?"),
    Example(shows="a rumour it repeats", prompt="What animal lives with Alma Rost?"),
    Example(shows="after its cutoff", prompt="Who is mayor of Tarn today?"),
    Example(
        shows="a small sum",
        prompt="Mira has 9 books. Mira finds 3. How many books in the end?",
    ),
)
_OF_ANY = (
    Example(shows="well known", prompt="What is the capital of Australia?"),
    Example(shows="seldom written", prompt="Who taught Gustav Holst's first piano lesson?"),
    Example(shows="changes with time", prompt="Who is the mayor of Lisbon today?"),
)


class Setup(BaseModel):
    """What the page needs before the first question."""

    model: str
    keys: bool = Field(description="Whether requests need an API key.")
    examples: tuple[Example, ...]


class PolicyReport(BaseModel):
    """A policy that a request may name."""

    name: str
    description: str
    calibrated: bool = Field(description="Whether it promises an error rate.")
    unavailable: str | None = Field(description="Why it cannot be used here; null where it can.")


class PolicyList(BaseModel):
    """The policies that this caller may name, and the one they get without a name."""

    default: str
    policies: list[PolicyReport]


def playground_routes(service: Service) -> APIRouter:
    """The page, its files, and ``/policies``, which the page's selector shows."""
    router = APIRouter()
    files = {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _TYPES}
    embedded = service.settings.model in EMBEDDED

    @router.get("/playground", include_in_schema=False)
    def page() -> Response:
        return file(_PAGE)

    @router.get("/playground/setup", include_in_schema=False)
    def setup() -> Setup:
        return Setup(
            model=service.model,
            keys=service.keys is not None,
            examples=_OF_THE_WORLD if embedded else _OF_ANY,
        )

    @router.get("/playground/{name}", include_in_schema=False)
    def file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return Response(files[name], media_type=_TYPES[Path(name).suffix], headers=HEADERS)

    @router.get(
        "/policies",
        summary="Which policies may a request name?",
        responses={401: {"model": Problem, "content": {"application/problem+json": {}}}},
    )
    def policies(request: Request) -> PolicyList:
        caller, known = caller_of(request), service.policies
        return PolicyList(
            default=caller.policy(None) or known.default_name,
            policies=[
                PolicyReport(
                    name=name,
                    description=policy.description if policy else "",
                    calibrated=policy is not None and policy.calibration is not None,
                    unavailable=complaint,
                )
                for name, (policy, complaint) in sorted(known.listed().items())
                if caller.policies is None or name in caller.policies
            ],
        )

    return router
