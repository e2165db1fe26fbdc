"""The description of the API as OpenAPI 3.0, which OGC API - Features asks for; FastAPI writes 3.1."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

VERSION = "3.0.3"
_LISTS = {"bbox"}
"""Parameters that are lists of numbers, separated by commas."""


def description_of(app: FastAPI) -> dict[str, Any]:
    """The description, made once."""
    if app.openapi_schema is None:
        written = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        described: dict[str, Any] = _as_30(written)
        described["openapi"] = VERSION
        described["servers"] = [{"url": "/"}]
        described["info"]["license"] = {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}
        schemes = described.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer"}
        for path in described["paths"].values():
            for operation in path.values():
                _tidy(operation)
        app.openapi_schema = described
    return app.openapi_schema


def _as_30(node: Any) -> Any:
    """A schema of 3.1 in words of 3.0."""
    if isinstance(node, list):
        return [_as_30(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _as_30(value) for key, value in node.items()}
    choices = node.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        others = [choice for choice in choices if choice != {"type": "null"}]
        del node["anyOf"]
        if len(others) == 1 and "$ref" not in others[0]:
            node = {**others[0], **node, "nullable": True}
        else:
            node |= {"nullable": True, **({"allOf": others} if len(others) == 1 else {"anyOf": others})}
    if isinstance(node.get("examples"), list):
        node["example"] = node.pop("examples")[0]
    if "const" in node:
        node["enum"] = [node.pop("const")]
    return node


def _tidy(operation: dict[str, Any]) -> None:
    """Parameters as OGC API - Features writes them; FastAPI's own 422 is not ours, which is 400."""
    operation.get("responses", {}).pop("422", None)
    for status, response in operation.get("responses", {}).items():
        if status >= "400":
            # Errors are JSON, whatever the form of what was asked for.
            (content,) = response["content"].values()
            response["content"] = {"application/json": content}
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        if parameter["in"] == "query":
            # A parameter is left out, not null.
            schema.pop("nullable", None)
        if parameter["name"] in _LISTS:
            numbers = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}
            parameter["schema"] = numbers
            parameter |= {"style": "form", "explode": False}
            schema.pop("example", None)
