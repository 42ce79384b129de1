"""How a GPU's layout is drawn: a bar of memory units, one cell an instance."""

from __future__ import annotations

from solver.geometry import Geometry
from solver.problem import Counts

UNIT = 4
"""characters a memory unit"""


def bar(geometry: Geometry, layout: Counts | None) -> str:
    """The layout as one line, in one of the ways in which the driver may place the instances.

    >>> from solver.geometry import by_product
    >>> bar(by_product("NVIDIA-H100-80GB-HBM3"), (("1g.10gb", 3), ("3g.40gb", 1)))
    '|    3g.40gb    |1g |1g |1g |   |'
    """
    if layout is None:
        return f"|{'MIG mode is off':^{geometry.memory_slices * UNIT - 1}}|"
    sizes = {profile.name: profile.size for profile in geometry.profiles}
    cells: list[str] = []
    position = 0
    for profile, start in geometry.placements(layout) or ():
        cells += [_cell("", 1)] * (start - position) + [_cell(profile, sizes[profile])]
        position = start + sizes[profile]
    cells += [_cell("", 1)] * (geometry.memory_slices - position)
    return f"|{'|'.join(cells)}|"


def _cell(profile: str, size: int) -> str:
    width = size * UNIT - 1
    text = profile if len(profile) <= width else profile.partition(".")[0]
    return f"{text:^{width}}"[:width]
