"""What forest a patch was, by the classes of IGN's BD Forêt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detector.context.description import ForestType
from detector.context.ground import Reader, dissolved_share, overlay, shares_by, text_of

#: By the beginning of the code, the longest first. IGN, BD Forêt version 2, descriptif de contenu: TFV.
_TYPES = (
    ("FF31", ForestType.MIXED),
    ("FF32", ForestType.MIXED),
    ("FF0", ForestType.NO_COVER),
    ("FF1", ForestType.BROADLEAF),
    ("FF2", ForestType.CONIFER),
    ("FF3", ForestType.MIXED),
    ("FO0", ForestType.NO_COVER),
    ("FO1", ForestType.OPEN_BROADLEAF),
    ("FO2", ForestType.OPEN_CONIFER),
    ("FO3", ForestType.OPEN_MIXED),
    ("FP", ForestType.POPLAR),
    ("LA4", ForestType.HEATH),
    ("LA6", ForestType.GRASSLAND),
)
#: What BD Forêt writes where it names no species.
_NO_ESSENCE = frozenset({"NR", "NC", ""})


def forest_type_of(code_tfv: str) -> ForestType:
    """Kind of vegetation of a code of BD Forêt, such as ``FF2-51-51`` (maritime pine)."""
    return next((kind for prefix, kind in _TYPES if code_tfv.startswith(prefix)), ForestType.OTHER)


def is_forest(code_tfv: str) -> bool:
    """Whether a code is forest, felled and young forest too; BD Forêt's heath and grassland are not."""
    return forest_type_of(code_tfv) not in (ForestType.HEATH, ForestType.GRASSLAND)


def forest(reader: Reader) -> dict[str, Sequence[Any]]:
    """Fields of `PatchContext` about the forest."""
    ground, n = reader.ground, len(reader.ground)
    frame, known = reader.vector("forest", ("code_tfv", "essence"))
    if frame is None:
        return {}
    over = overlay(ground, frame.geometry.to_numpy())
    over = over.only(known[over.patch])
    codes = text_of(frame["code_tfv"])[over.feature]
    essences = text_of(frame["essence"])[over.feature]
    essences[np.isin(essences.astype(str), list(_NO_ESSENCE))] = None
    kinds = np.array([None if code is None else forest_type_of(code).value for code in codes], object)

    by_code = shares_by(ground, over, codes)
    # Ground that two classes claim is counted once: they share it.
    claimed = np.bincount(by_code.patch, weights=by_code.share, minlength=n)
    together = dissolved_share(ground, over)
    once = np.divide(together, claimed, out=np.ones(n), where=claimed > together)
    shares = [
        {code: share * float(once[patch]) for code, share in found} if known[patch] else None
        for patch, found in enumerate(by_code.by_patch(n))
    ]
    types = shares_by(ground, over, kinds).largest(n)
    return {
        "forest_type": [None if kind is None else ForestType(kind) for kind in types],
        "forest_shares": shares,
        "essence": shares_by(ground, over, essences).largest(n),
    }
