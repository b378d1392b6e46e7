"""Numbers only: functions of tensors, with no classes and no weights."""

from vqzoo.ops.compiled import compiled
from vqzoo.ops.compiled import known_value
from vqzoo.ops.nearest import distances_in_one_piece
from vqzoo.ops.nearest import nearest_codes
from vqzoo.ops.replicas import replica_gather
from vqzoo.ops.replicas import replica_sum
from vqzoo.ops.rows import spread_rows
from vqzoo.ops.shapes import crop
from vqzoo.ops.shapes import upsample_nearest
from vqzoo.ops.straight_through import straight_through

__all__ = [
    "compiled",
    "crop",
    "distances_in_one_piece",
    "known_value",
    "nearest_codes",
    "replica_gather",
    "replica_sum",
    "spread_rows",
    "straight_through",
    "upsample_nearest",
]
