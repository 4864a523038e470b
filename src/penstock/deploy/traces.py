"""Requests as spans of OpenTelemetry, for who has a collector; set up by its own environment variables."""

from __future__ import annotations

from typing import Any

from penstock.errors import InputError


def traced(application: Any, name: str) -> Any:
    """Wrap an ASGI application so that each request is a span, sent in the background.

    Parameters
    ----------
    name : str
        Of the service, unless ``OTEL_SERVICE_NAME`` says another.

    Raises
    ------
    InputError
        When the packages are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError:
        raise InputError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and the packages are missing: pip install 'penstock[otel]', or unset it"
        ) from None
    resource = Resource({SERVICE_NAME: f"penstock {name}"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    # One span a request: those of each message would cost more than the answer.
    return OpenTelemetryMiddleware(application, tracer_provider=provider, exclude_spans=["receive", "send"])
