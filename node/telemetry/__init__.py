"""Traces for operators who ask for them: spans, and how they cross from node to node.

Law: without `[telemetry] otlp_endpoint` nothing here runs, nothing of OpenTelemetry is loaded,
and nothing leaves the host, whatever the environment says.
"""
