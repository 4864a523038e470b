"""The OpenAPI description of a service, made from the model's own input schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_TYPES: dict[str, dict[str, Any]] = {
    "integer": {"type": ["number", "null"]},
    "number": {"type": ["number", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "text": {"type": ["string", "null"]},
    "date": {"type": ["string", "null"], "format": "date-time"},
}


def describe(model: Any) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0).

    Parameters
    ----------
    model : Model
        Whose ``inputs`` and ``labels`` are described.
    """
    row = _row(model.inputs)
    events = [
        _object(
            {"table": {"const": table.name}, "rows": {"type": "array", "items": _row(table.inputs), "maxItems": 10000}}
        )
        for table in model.knows.event_tables
    ]
    label = {"description": f"a value of {model.labels.column}"}
    answer: dict[str, Any] = {"id": {"type": "string"}, "prediction": label}
    if model.task != "regression":
        answer["probabilities"] = {
            "type": "object",
            "properties": {name: {"type": "number", "minimum": 0, "maximum": 1} for name in model.labels.names},
        }
    elif model.interval is not None:
        answer["interval"] = {
            "description": f"holds the truth in {100 * float(model.interval):g} % of cases",
            "type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}], "minItems": 2, "maxItems": 2,
        }  # fmt: skip
    if model.quantiles:
        answer["quantiles"] = {
            "description": "by share: what so many truths lie below",
            "type": "object",
            "properties": {str(share): {"type": "number"} for share in model.quantiles},
        }
    answer["explanation"] = {
        "description": "where it was asked for: base and all effects sum to the probability, or number, that is answered",
        "type": "object",
        "properties": {
            "of": {"type": "string", "description": "the class whose probability is explained"},
            "base": {"type": "number", "description": "the mean answer to training rows"},
            "reasons": {
                "type": "array",
                "items": _object({"column": {"type": "string"}, "value": {}, "effect": {"type": "number"}}),
            },
        },
    }
    typical = model.typical_row()
    one = {"rows": [typical]}
    files = {
        "text/csv": {"schema": {"type": "string"}},
        "text/tab-separated-values": {"schema": {"type": "string"}},
        "application/x-ndjson": {"schema": {"type": "string", "description": "a row a line"}},
        "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
    }
    invocation = {"description": "MLflow's scoring protocol", "type": "object"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{model.name}: predictions of {model.labels.column}",
            "version": str(model.version),
        },
        "security": [{}, {"bearer": []}, {"key": []}],
        "paths": {
            "/predict": _post("Predict rows", "Rows", "Predictions", one, files, [_EXPLAIN]),
            "/feedback": _post("Tell the truth about earlier predictions", "Labels", "Accepted"),
            **({"/events": _post("Tell what has happened since", "Events", "Accepted")} if events else {}),
            f"/v2/models/{model.name}/infer": _post("Predict, by the Open Inference Protocol", "Infer", "Inferred"),
            "/invocations": _post(
                "Predict, by MLflow's protocol",
                "Invocation",
                "Invoked",
                {"dataframe_records": [typical]},
                {"text/csv": files["text/csv"]},
            ),
            "/model": _get("Columns, metrics, lineage"),
            "/versions": _get("The versions under traffic"),
            "/health/live": _get("Whether the process answers"),
            "/health/ready": _get("Whether it takes requests"),
            "/metrics": _get("Figures for Prometheus", "text/plain"),
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "where the service asks for a key"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
            "schemas": {
                "Row": row,
                "Rows": {
                    "description": "rows as objects, one row, or columns of one length",
                    "oneOf": [
                        {
                            **_object(
                                {
                                    "rows": {
                                        "type": "array",
                                        "items": {"$ref": "#/components/schemas/Row"},
                                        "maxItems": 10000,
                                    }
                                }
                            ),
                            "properties": {
                                "rows": {
                                    "type": "array",
                                    "items": {"$ref": "#/components/schemas/Row"},
                                    "maxItems": 10000,
                                },
                                "explain": {
                                    "type": "boolean",
                                    "description": "say why, of at most 100 rows",
                                    "default": False,
                                },
                            },
                        },
                        {
                            **_object({"columns": {"type": "object", "additionalProperties": {"type": "array"}}}),
                            "properties": {
                                "columns": {"type": "object", "additionalProperties": {"type": "array"}},
                                "explain": {"type": "boolean", "default": False},
                            },
                        },
                        {"type": "array", "items": {"$ref": "#/components/schemas/Row"}, "maxItems": 10000},
                        {"allOf": [{"$ref": "#/components/schemas/Row"}], "minProperties": 1},
                    ],
                },
                "Infer": _object(
                    {
                        "inputs": {
                            "type": "array",
                            "items": _object(
                                {
                                    "name": {"type": "string"},
                                    "datatype": {"type": "string"},
                                    "shape": {"type": "array", "items": {"type": "integer"}},
                                    "data": {"type": "array"},
                                }
                            ),
                        }
                    }
                ),
                "Inferred": _object(
                    {
                        "model_name": {"type": "string"},
                        "model_version": {"type": "string"},
                        "outputs": {"type": "array"},
                    }
                ),
                "Invocation": invocation,
                "Invoked": _object({"predictions": {"type": "array"}}),
                "Predictions": _object(
                    {
                        "model": _object({"name": {"type": "string"}, "version": {"type": "integer"}}),
                        "predictions": {
                            "type": "array",
                            "items": {
                                **_object(answer),
                                "required": [item for item in answer if item != "explanation"],
                            },
                        },
                    }
                ),
                "Labels": _object(
                    {
                        "labels": {
                            "type": "array",
                            "items": _object({"id": {"type": "string"}, "label": label}),
                        }
                    }
                ),
                "Accepted": _object({"accepted": {"type": "integer"}}),
                **({"Events": {"oneOf": events}} if events else {}),
                "Error": _object(
                    {
                        "error": _object(
                            {
                                "code": {"type": "string"},
                                "message": {"type": "string"},
                                "rows": {
                                    "type": "array",
                                    "items": _object(
                                        {
                                            "row": {"type": "integer"},
                                            "field": {"type": "string"},
                                            "message": {"type": "string"},
                                        }
                                    ),
                                },
                            }
                        )
                    }
                ),
            },
        },
    }


def _row(inputs: Sequence[Any]) -> dict[str, Any]:
    properties = {}
    for column in inputs:
        made = dict(_TYPES[column.type])
        if column.reads == "number":
            made = {"type": ["number", "string", "null"], "description": "a number, or a number as text"}
        elif column.reads == "boolean":
            made = {
                "type": ["boolean", "string", "null"],
                "description": "true or false, or yes or no as text",
            }
        if column.values:
            made["examples"] = column.values[:10]
            made["description"] = f"seen in training: {', '.join(column.values)}; other values are answered too"
        if not column.required:
            made["description"] = "not used by the model; may be left out"
        properties[column.name] = made
    return {
        "type": "object",
        "properties": properties,
        "required": [column.name for column in inputs if column.required],
        "additionalProperties": False,
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _post(
    summary: str, takes: str, gives: str, example: Any = None, others: Mapping[str, Any] | None = None, query: Any = ()
) -> dict[str, Any]:
    def content(name: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}

    body = content(takes)
    if example is not None:
        body["application/json"]["example"] = example
    return {
        "post": {
            "summary": summary,
            "parameters": list(query),
            "requestBody": {"required": True, "content": {**body, **(others or {})}},
            "responses": {
                "200": {"description": "done", "content": {**content(gives), **(others or {})}},
                **{status: {"description": told, "content": content("Error")} for status, told in _REFUSED.items()},
            },
        }
    }


_EXPLAIN = {
    "name": "explain", "in": "query", "schema": {"type": "boolean", "default": False},
    "description": "say why, of at most 100 rows that come as JSON; the body may ask for the same",
}  # fmt: skip
_REFUSED = {
    "400": "not JSON", "401": "asks for a key", "403": "the key is for something else", "404": "no such model or version",
    "408": "came too slowly", "413": "too large", "422": "rows that do not fit, field by field", "429": "too often",
    "503": "the log does not keep up, ask again later",
}  # fmt: skip


def _get(summary: str, kind: str = "application/json") -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"} if kind == "text/plain" else {"type": "object"}
    told = {"description": "yes", "content": {kind: {"schema": schema}}}
    refused = {status: {"description": _REFUSED[status]} for status in ("401", "403")}
    return {"get": {"summary": summary, "responses": {"200": told, **refused, "503": {"description": "not now"}}}}
