"""Alerts leave in everybody's formats: features in, bytes out. Neither the store nor HTTP is known here."""

from api.exports.formats import ExportFormat
from api.exports.writing import stream, write

__all__ = ["ExportFormat", "stream", "write"]
