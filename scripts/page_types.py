"""`python -m scripts.page_types FILE`: writes the API's description, of which the page's types are made."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from api.main import create_app
from api.openapi import description_of
from api.settings import load_settings
from tiles.placing import written_beside


def main() -> None:
    """Write the description where the first argument says."""
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(target) as partial:
        partial.write_text(json.dumps(description_of(create_app(load_settings()))), encoding="utf-8")


if __name__ == "__main__":
    main()
