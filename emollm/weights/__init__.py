"""Pretrained weights: one table, and folders made from it once.

Words of this room: entry, source, bytes, hash, folder. It does not know what a model is for.
"""

from emollm.weights.sources import Progress, Stage
from emollm.weights.store import default_cache, ensure, locate, origin, pull, pull_all, pull_scale, ready, verify
from emollm.weights.table import TABLE, Entry, Hub, Member, SourceFile, SourceKind, entry, names, scales

__all__ = [
    "TABLE",
    "Entry",
    "Hub",
    "Member",
    "Progress",
    "SourceFile",
    "SourceKind",
    "Stage",
    "default_cache",
    "ensure",
    "entry",
    "locate",
    "names",
    "origin",
    "pull",
    "pull_all",
    "pull_scale",
    "ready",
    "scales",
    "verify",
]
