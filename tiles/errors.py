"""Every error that Sylvigie raises on purpose.

::

    SylvigieError
    ├── InvalidParameterError     a parameter outside its range
    │   └── PhotoError            a photo that is none, is damaged, or is larger than may be
    ├── NoRoomError               the disk is full
    ├── MissingDependencyError    an optional package that this command needs
    ├── CatalogueError            the catalogue is absent, broken or empty
    ├── AccessError               an archive's files cannot be opened: credentials, signatures
    ├── SceneError                one scene cannot be used (it is left out, and named)
    │   └── SceneReadError        its pixels cannot be read
    ├── NoSceneError              nothing to look at in the month
    ├── GridError                 scenes that do not lie on one grid
    ├── AreaError                 an area of interest or forest mask that cannot serve
    ├── LayerError                a reference layer is absent, broken, or cannot be fetched or imported
    ├── StateError                what was kept of a tile is absent, damaged or made otherwise
    ├── DatasetError              a table of training data that does not fit
    ├── ModelError                a model that is absent, altered, or does not fit the features
    ├── RulesError                a rule of criteria or legal points that will not do
    ├── OutputError               the results cannot be written
    ├── StoreError                the store of alerts cannot be used, or is of another version
    │   └── StoreBusyError        another has been writing to it for too long
    ├── NotFoundError             what was asked for is not there
    ├── AccessRefusedError        a token is missing, or gives no right to this
    │   └── NotAllowedError       who asks is known, and may not
    ├── TooOftenError             somebody has tried too often
    ├── ProviderError             the provider of sign-ins does not answer, or not as it should
    ├── ConflictError             another has changed what was to be changed
    ├── FilterError               a filter of alerts that will not do
    ├── PictureError              a raster that a picture is made of is damaged
    ├── NoticeError               a notice cannot be written or sent as things are set
    ├── IngestError               what is to be put into the store cannot be read
    ├── LockedError               another process is at work there
    └── ClusterError              the cluster's scheduler or its workers cannot be had

Each carries one sentence that says what is wrong, where, and what to do.
"""

from __future__ import annotations


class SylvigieError(Exception):
    """Root of the tree: catch it to catch all that Sylvigie raises on purpose."""


class InvalidParameterError(SylvigieError):
    """A parameter is outside the range that it makes sense in."""


class PhotoError(InvalidParameterError):
    """A photo is none, is damaged, or is larger than may be."""


class NoRoomError(SylvigieError):
    """The disk that files are kept on is full, or nearly."""


class MissingDependencyError(SylvigieError):
    """An optional package that this command needs is not installed."""


class CatalogueError(SylvigieError):
    """The catalogue is absent, broken or empty."""


class AccessError(SylvigieError):
    """An archive does not let its files be opened: credentials are missing or refused, or nothing signs them."""


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
    """The pixels of a scene cannot be read.

    Parameters
    ----------
    scene_id, reason
        As of `SceneError`.
    transient
        Whether the network or the archive is at fault, so that the next run may well read it.
    """

    def __init__(self, scene_id: str, reason: str, transient: bool = False) -> None:
        super().__init__(scene_id, reason)
        self.transient = transient

    def __reduce__(self) -> tuple[type[SceneReadError], tuple[str, str, bool]]:
        # An error may have to come from another machine.
        return type(self), (self.scene_id, self.reason, self.transient)


class NoSceneError(SylvigieError):
    """The catalogue holds no usable scene for what was asked."""


class GridError(SylvigieError):
    """Scenes do not lie on one grid."""


class AreaError(SylvigieError):
    """An area of interest or a forest mask cannot serve."""


class LayerError(SylvigieError):
    """A reference layer is broken, or cannot be fetched, imported or read."""


class StateError(SylvigieError):
    """What was kept of a tile is absent, damaged or made with other parameters."""


class DatasetError(SylvigieError):
    """A table of training data, or of labels, cannot be read or does not fit what it should be."""


class ModelError(SylvigieError):
    """A model is absent, was altered, or does not fit the features."""


class RulesError(SylvigieError):
    """A rule of the criteria or legal points will not do, or its file cannot be read."""


class OutputError(SylvigieError):
    """The results cannot be written where they were asked for."""


class StoreError(SylvigieError):
    """The store of alerts cannot be opened, read or written, or is of another version."""


class StoreBusyError(StoreError):
    """Another has been writing to the store for too long."""


class NotFoundError(SylvigieError):
    """What was asked for is not there."""


class AccessRefusedError(SylvigieError):
    """A token is missing, is not good any more, or gives no right to what was asked for."""


class NotAllowedError(AccessRefusedError):
    """Who asks is known, and may not do what was asked for."""


class TooOftenError(SylvigieError):
    """Somebody has tried too often.

    Parameters
    ----------
    sentence
        As of all.
    wait_s
        Seconds until another try counts.
    """

    def __init__(self, sentence: str, wait_s: int) -> None:
        super().__init__(sentence)
        self.wait_s = wait_s

    def __reduce__(self) -> tuple[type[TooOftenError], tuple[str, int]]:
        # An error may have to come from another machine.
        return type(self), (str(self), self.wait_s)


class ProviderError(SylvigieError):
    """The OpenID provider does not answer, or not as it should."""


class ConflictError(SylvigieError):
    """Another has changed what was to be changed, or it is not in the state for it."""


class FilterError(SylvigieError):
    """A filter, an order or a page of alerts that will not do."""


class PictureError(SylvigieError):
    """A raster that a picture is made of is damaged."""


class NoticeError(SylvigieError):
    """Notices cannot be written, or sent, as things are set."""


class IngestError(SylvigieError):
    """What is to be put into the store cannot be read, or is not what a scan writes."""


class LockedError(SylvigieError):
    """Another process is at work there: it holds the lock."""


class ClusterError(SylvigieError):
    """The scheduler of the cluster, or its workers, cannot be had."""
