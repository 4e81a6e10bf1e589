"""Declaration of points of sale, the part of a workspace's configuration that has fields."""

from typing import Final

from innkeeper.resources.base import Field, Resource
from innkeeper.resources.kinds import LANGUAGE, Count, Flag, Text

DEFAULT_TIMEOUT: Final = 20
"""Minutes without an event after which a session ends (stream-api.md 5)."""


class PointOfSale(Resource):
    """A point of sale: the shop, site or app where sessions and orders take place."""

    singular = "Point of sale"

    name = Field(Text(longest=255), "Unique name, e.g. spinair.com/france.", required=True)
    market = Field(Text(), "Market, e.g. France.")
    brand = Field(Text(), "Brand.")
    language = Field(LANGUAGE, "Language, ISO 639-1, with or without a region.")
    timeout_minutes = Field(Count(), "Minutes without an event after which a session ends.")
    test = Field(Flag(), "Whether the point of sale is for tests: FORCE_CLOSE then ends sessions.")
