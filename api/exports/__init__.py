"""Alerts leave in everybody's formats: features in, bytes out. Neither the store nor HTTP is known here."""

from api.exports.atom import atom_feed
from api.exports.formats import ExportFormat
from api.exports.stable import stable_path, write_stable
from api.exports.writing import stream, write

__all__ = ["ExportFormat", "stream", "write", "write_stable", "stable_path", "atom_feed"]
