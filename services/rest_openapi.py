"""The description of the REST service: OpenAPI, from the contracts, and a page to read it."""

from typing import Any

from covla import __version__
from covla.schemas.explanation import Explained
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from services.rest_requests import BATCH_POSTS, FORM_FIELDS

Json = dict[str, Any]  # a part of the document

# Swagger UI comes with BentoML; its own page is not used, since it loads a tracker.
DOCS = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>CoVLA API</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="static_content/swagger-ui.css"></head><body>
<div id="swagger-ui"></div>
<script src="static_content/swagger-ui-bundle.js"></script>
<script src="static_content/swagger-ui-standalone-preset.js"></script>
<script src="static_content/swagger-initializer.js"></script></body></html>"""
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_ERRORS = {
    "400": "Malformed JSON or form",
    "413": "The body, the text or the image is too large",
    "415": "Neither JSON nor a form",
    "422": "A field is missing, of a wrong type, or cannot be used; `field` names it",
    "429": "Too much is waiting; try again after the seconds in Retry-After",
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Json) -> Json:
    return {"content": {"application/json": {"schema": schema}}}


def _operation(summary: str, body: Json, answer: Json) -> Json:
    version = {"description": "The version that answered", "schema": {"type": "string"}}
    responses: Json = {
        "200": {"description": "OK", "headers": {"Model-Version": version}, **_json(answer)}
    }
    responses |= {
        status: {"description": text, **_json(_ref("Error"))} for status, text in _ERRORS.items()
    }
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": body},
            "responses": responses,
        }
    }


def _explain(body: Json) -> Json:
    operation = _operation(
        "Predict one post and say why: JSON, or a PNG where Accept puts image/png first",
        body,
        _ref("Explained"),
    )
    answer = operation["post"]["responses"]["200"]
    png = {"schema": {"type": "string", "contentMediaType": "image/png"}}
    answer["content"]["image/png"] = png
    return operation


def document() -> Json:
    """The OpenAPI 3.1 document."""
    schemas: Json = {}
    for contract in (SocialPost, Prediction, Explained):
        schema = contract.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[contract.__name__] = schema
    schemas["Error"] = {
        "type": "object",
        "required": ["error", "field", "code"],
        "properties": {name: {"type": "string"} for name in ("error", "field", "code", "post_id")},
    }
    form: Json = {name: {"type": "string"} for name in FORM_FIELDS}
    form["image"] = {"type": "string", "contentMediaType": "application/octet-stream"}
    one = {
        "application/json": {"schema": _ref("SocialPost")},
        "multipart/form-data": {"schema": {"type": "object", "properties": form}},
    }
    many = {"type": "array", "items": _ref("SocialPost"), "minItems": 1, "maxItems": BATCH_POSTS}
    each = {"type": "array", "items": {"anyOf": [_ref("Prediction"), _ref("Error")]}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CoVLA",
            "version": __version__,
            "description": "What kind of place does a social post show?",
        },
        "paths": {
            "/predict": _operation("Predict one post", one, _ref("Prediction")),
            "/predict_batch": _operation(
                "Predict several posts: one result or one error for each, in order",
                {"application/json": {"schema": many}},
                each,
            ),
            "/explain": _explain(one),
        },
        "components": {"schemas": schemas},
    }
