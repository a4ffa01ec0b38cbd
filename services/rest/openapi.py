"""The description of the REST service: OpenAPI, from the contracts, and a page to read it."""

from typing import Any

from covla import __version__
from covla.schemas.explanation import Explained
from covla.schemas.label import PostLabel
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from services.rest.answers import LabelDescription, Serving
from services.rest.feedback import Feedback
from services.rest.requests import BATCH_POSTS, FORM_FIELDS

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

EXAMPLE = {"post_id": "p-1", "created_at": "2026-05-01T12:00:00Z", "text": "Leg day"}

_ERRORS = {
    "400": "Malformed JSON or form",
    "401": "No API key, or none that is known here and in use",
    "403": "The API key is not for this route",
    "413": "The body, the text or the image is too large",
    "415": "Neither JSON nor a form",
    "422": "A field is missing, of a wrong type, or cannot be used; `field` names it",
    "429": "Too much is waiting, so that there is no room or not the time for this, or too much "
    "came with this key; try again after the seconds in Retry-After",
    "503": "The model fails, whatever the post; try again after the seconds in Retry-After",
}
_TIMEOUT: Json = {
    "name": "timeout",
    "in": "header",
    "description": "Seconds in which an answer is of use: a request that cannot be answered by "
    "then is refused with 429. The server has a limit of its own, 30 unless it was changed",
    "schema": {"type": "number", "exclusiveMinimum": 0},
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Json) -> Json:
    return {"content": {"application/json": {"schema": schema}}}


def _operation(summary: str, body: Json, answer: Json) -> Json:
    about = "The version that answered; of a batch maybe two, champion and canary: `7, 9`"
    version = {"description": about, "schema": {"type": "string"}}
    responses: Json = {
        "200": {"description": "OK", "headers": {"Model-Version": version}, **_json(answer)}
    }
    responses |= {
        status: {"description": text, **_json(_ref("Error"))} for status, text in _ERRORS.items()
    }
    return {
        "post": {
            "summary": summary,
            "parameters": [_TIMEOUT],
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


def _feedback() -> Json:
    """A user's label."""
    body = {
        "application/json": {
            "schema": _ref("Feedback"),
            "example": {"post_id": "p-1", "label": "home"},
        }
    }
    operation = _operation(
        "Send a user's label for a post to the labels topic", body, _ref("PostLabel")
    )
    responses = operation["post"]["responses"]
    del responses["200"]["headers"]
    unavailable = "No Kafka broker is known, or none acknowledged the label; send it again"
    responses["503"] = {"description": unavailable, **_json(_ref("Error"))}
    return operation


def _question(summary: str, answer: Json, example: Any) -> Json:
    """What needs no body. BentoML's clients ask with POST."""
    content = {"application/json": {"schema": answer, "example": example}}
    operation = {
        "summary": summary,
        "responses": {"200": {"description": "OK", "content": content}},
    }
    return {"get": operation, "post": operation}


def document() -> Json:
    """The OpenAPI 3.1 document."""
    schemas: Json = {}
    contracts = (SocialPost, Prediction, Explained, Feedback, PostLabel, LabelDescription, Serving)
    for contract in contracts:
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
        "application/json": {"schema": _ref("SocialPost"), "example": EXAMPLE},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": form,
                "anyOf": [{"required": ["text"]}, {"required": ["image"]}],
            }
        },
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
                {"application/json": {"schema": many, "example": [EXAMPLE]}},
                each,
            ),
            "/explain": _explain(one),
            "/feedback": _feedback(),
            "/labels": _question(
                "The kinds of places, in the order of every probability vector",
                {"type": "array", "items": _ref("LabelDescription")},
                [{"label": "home", "description": "A private home: kitchen, sofa, garden"}],
            ),
            "/version": _question(
                "The model version that answers, and since when",
                _ref("Serving"),
                {
                    "model_version": "7",
                    "serving_since": "2026-05-01T12:00:00Z",
                    "covla_version": __version__,
                },
            ),
        },
        # Not every server asks for a key.
        "security": [{}, {"key": []}],
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
