"""Alerts that every format has to carry."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.features import AlertFeature
from tests.fakes.exported_alerts import features


@pytest.fixture
def alerts(tmp_path: Path) -> list[AlertFeature]:
    return features(tmp_path / "alerts")
