"""Every error that Sylvigie raises on purpose.

::

    SylvigieError
    ├── InvalidParameterError     a parameter outside its range
    ├── MissingDependencyError    an optional package that this command needs
    ├── CatalogueError            the catalogue is absent, broken or empty
    ├── SceneError                one scene cannot be used (it is left out, and named)
    │   └── SceneReadError        its pixels cannot be read
    ├── NoSceneError              nothing to look at in the month
    ├── GridError                 scenes that do not lie on one grid
    ├── AreaError                 an area of interest or forest mask that cannot serve
    ├── StateError                what was kept of a tile is absent, damaged or made otherwise
    └── OutputError               the results cannot be written

Each carries one sentence that says what is wrong, where, and what to do.
"""

from __future__ import annotations


class SylvigieError(Exception):
    """Root of the tree: catch it to catch all that Sylvigie raises on purpose."""


class InvalidParameterError(SylvigieError):
    """A parameter is outside the range that it makes sense in."""


class MissingDependencyError(SylvigieError):
    """An optional package that this command needs is not installed."""


class CatalogueError(SylvigieError):
    """The catalogue is absent, broken or empty."""


class SceneError(SylvigieError):
    """One scene cannot be used.

    Parameters
    ----------
    scene_id
        Identifier of the scene in its catalogue.
    reason
        Why, as a phrase that follows the identifier.
    """

    def __init__(self, scene_id: str, reason: str) -> None:
        super().__init__(f"Scene {scene_id}: {reason}")
        self.scene_id = scene_id
        self.reason = reason


class SceneReadError(SceneError):
    """The pixels of a scene cannot be read."""


class NoSceneError(SylvigieError):
    """The catalogue holds no usable scene for what was asked."""


class GridError(SylvigieError):
    """Scenes do not lie on one grid."""


class AreaError(SylvigieError):
    """An area of interest or a forest mask cannot serve."""


class StateError(SylvigieError):
    """What was kept of a tile is absent, damaged or made with other parameters."""


class OutputError(SylvigieError):
    """The results cannot be written where they were asked for."""
