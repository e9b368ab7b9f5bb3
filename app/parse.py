"""A body as the model of a wire format, or everything that is wrong with it.

One parse for one request. Knows no particular format.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ucbd.app.errors import EdgeError, FieldError, Invalid, Malformed, refused

Wire = TypeVar("Wire", bound=BaseModel)

_SHOWN_VALUE = 60  # characters of a wrong value or an unknown name that its error repeats
_SHOWN_ERRORS = 32  # of one request
_UNION_ARMS = ("str", "constrained-str")
_NOT_A_REQUEST = {"json_invalid": "not JSON", "model_type": "not a JSON object"}


def parse(wire: type[Wire], content_type: str | None, body: bytes) -> Wire:
    """The request in a body. Raises ``Malformed`` or ``Invalid``.

    A declared content type that is not JSON is refused: a web page can send such a body to a
    gateway on its reader's own machine without asking it first.
    """
    if content_type is not None and "json" not in content_type.lower():
        message = f"must be application/json, got {content_type[:_SHOWN_VALUE]!r}"
        raise refused(Malformed, "content-type", message)
    try:
        return wire.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: ValidationError) -> EdgeError:
    """Every wrong field with its value and what would be right."""
    details = error.errors(include_url=False, include_context=False)
    first = details[0]
    if first["type"] in _NOT_A_REQUEST and not first["loc"]:
        return refused(Malformed, "body", f"{_NOT_A_REQUEST[first['type']]}: {first['msg']}")
    errors = [_field_error(detail) for detail in details[:_SHOWN_ERRORS]]
    return Invalid("; ".join(f"{e.field}: {e.message}" for e in errors[:3]), errors)


def _field_error(detail: Any) -> FieldError:
    field = ".".join(_cut(str(part)) for part in detail["loc"] if not _is_union_arm(part))
    if detail["type"] in ("missing", "extra_forbidden"):
        return FieldError(field=field, message=detail["msg"])
    return FieldError(field=field, message=f"{detail['msg']}, got {_cut(repr(detail['input']))}")


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_VALUE else text[:_SHOWN_VALUE] + "…"


def _is_union_arm(part: object) -> bool:
    """Pydantic names the arm of a union in the location; a field's path does not."""
    return isinstance(part, str) and ("[" in part or part in _UNION_ARMS)
