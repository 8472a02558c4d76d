"""The interface's OpenAPI document, from the schemas that the calls themselves check with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from api import problems
from api.bodies import Body

Json = Any
F = TypeVar("F", bound=Callable[..., Any])

#: Component schemas by name; each noun's file adds its own.
COMPONENTS: dict[str, Json] = {
    "Problem": {
        "type": "object",
        "description": "What went wrong (RFC 9457). `code` is stable; `detail` is for people.",
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "pointer": {
                            "type": "string",
                            "description": "JSON pointer into the body, or `/query/NAME`.",
                        },
                        "detail": {"type": "string"},
                    },
                    "required": ["pointer", "detail"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["type", "title", "status", "detail", "code"],
        "additionalProperties": False,
        "examples": [
            {
                "type": "urn:countersign:problem:not_found",
                "title": "Not found",
                "status": 404,
                "detail": "There is no such thing here, or it is not yours to see.",
                "code": "not_found",
            }
        ],
    },
}

_MEANINGS = {
    400: "The request cannot be read: malformed JSON, a bad header, a cursor of another list.",
    401: "The API key is missing, unknown, expired or revoked.",
    403: "Role, scope or grant does not allow it.",
    404: "It does not exist, belongs to another tenant, or is not yours to see; the three are alike.",
    405: "The address does not take that method.",
    406: "The address does not answer in an accepted media type.",
    408: "The body took too long to arrive.",
    409: "Its present state does not allow it.",
    410: "It is no longer there.",
    412: "It has changed since it was read.",
    413: "The body is too large.",
    415: "The body is not `application/json`.",
    416: "It has fewer bytes than where the range begins.",
    422: "The body or a query parameter is not what the call takes.",
    428: "`If-Match` or `If-None-Match` is missing.",
    429: "Too many requests of the address, key, person or tenant; `Retry-After` says how long to wait.",
}
_ALWAYS = (401, 403, 406, 429)
_WITH_BODY = (400, 408, 413, 415, 422)


def ref(name: str) -> Json:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def component(name: str, properties: Mapping[str, Json], *, optional: Iterable[str] = (), example: Json = None) -> Json:
    """Add an object to the components and return a reference to it. All properties are there but the `optional`."""
    COMPONENTS[name] = {
        "type": "object",
        "properties": dict(properties),
        "required": [key for key in properties if key not in set(optional)],
        "additionalProperties": False,
        **({"examples": [example]} if example is not None else {}),
    }
    return ref(name)


def nullable(schema: Mapping[str, Json]) -> Json:
    """Return the schema with null allowed."""
    return {**schema, "type": [schema["type"], "null"]}


def page_of(name: str, item: Json) -> Json:
    """Add the component of a page of such items and return a reference to it."""
    properties = {
        "results": {"type": "array", "items": item},
        "next": {"type": ["string", "null"], "description": "Send as `cursor` for the next page; null at the end."},
    }
    return component(name, properties)


def query(name: str, description: str, schema: Json | None = None) -> OpenApiParameter:
    """Describe a query parameter."""
    return OpenApiParameter(name, schema or {"type": "string"}, OpenApiParameter.QUERY, description=description)


def header(name: str, description: str, schema: Json | None = None, *, required: bool = False) -> OpenApiParameter:
    """Describe a request's header."""
    return OpenApiParameter(
        name, schema or {"type": "string"}, OpenApiParameter.HEADER, description=description, required=required
    )


def answer_header(name: str, description: str, *statuses: int) -> OpenApiParameter:
    """Describe a header of the answers with these statuses."""
    return OpenApiParameter(
        name,
        {"type": "string"},
        OpenApiParameter.HEADER,
        description=description,
        response=[str(status) for status in statuses],
    )


PAGING = (
    query("limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
    query("cursor", "`next` of the page before."),
)

#: The state that an answer shows; what one that writes it has to name, and the state that it left (`api.conditions`).
ETAG = answer_header("ETag", "Names this state, for `If-Match`.", 200)
CONDITIONS = (
    header("If-Match", "ETag of what is replaced."),
    header("If-None-Match", "`*`, to create."),
    answer_header("ETag", "Names this state, for `If-Match`.", 200, 201),
)


def call(
    operation: str,
    summary: str,
    *,
    status: int = 200,
    also: int | None = None,
    answer: Json = None,
    media_types: Sequence[str] = ("application/json",),
    body: Body | None = None,
    parameters: Sequence[OpenApiParameter] = (),
    refusals: Sequence[int] = (),
    path: Mapping[str, str] | None = None,
) -> Callable[[F], F]:
    """Describe one method of one address.

    operation: its id for generated clients. status, also: of a success. answer: its schema, None for an empty one.
    media_types: any of which it may come as.
    refusals: statuses of problems beyond those every call has. path: what each variable of the path is.
    """
    statuses = sorted({*_ALWAYS, *refusals, *(_WITH_BODY if body else ())})
    success: Any = (
        OpenApiResponse(answer, description="Done.") if answer else OpenApiResponse(None, description="Done.")
    )
    responses: dict[Any, Any] = {
        (each, media) if answer else each: success
        for each in (status, also)
        if each is not None
        for media in media_types
    }
    for refusal in statuses:
        responses[refusal, problems.MEDIA_TYPE] = OpenApiResponse(ref("Problem"), description=_MEANINGS[refusal])
    variables = [
        OpenApiParameter(name, {"type": "string"}, OpenApiParameter.PATH, description=description)
        for name, description in (path or {}).items()
    ]
    return extend_schema(
        operation_id=operation,
        summary=summary,
        request={"application/json": body.schema} if body else None,
        responses=responses,
        parameters=[*variables, *parameters],
    )


class Description(AutoSchema):
    """drf-spectacular's, with the first path segment behind the version as the tag."""

    def get_tags(self) -> list[str]:
        """Return the noun."""
        return [self.path.removeprefix("/api/v1/").split("/")[0]]


class BearerKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How `api.authentication.BearerKey` is described."""

    target_class = "api.authentication.BearerKey"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> Json:
        """Return the security scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "cs_…",
            "description": "An API key: it names tenant and principal, and does no more than its scopes allow.",
        }


def complete(result: dict[str, Json], **_: Any) -> dict[str, Json]:
    """drf-spectacular's hook: put the component schemas in, and say which bodies cannot be left out."""
    result["components"].setdefault("schemas", {}).update(COMPONENTS)
    for methods in result["paths"].values():
        for described in methods.values():
            for media in described.get("requestBody", {}).get("content", {}).values():
                described["requestBody"]["required"] = bool(media["schema"].get("required"))
    return result
