"""Example segments, which the builder offers as a start."""

from collections.abc import Mapping
from typing import Any, Final

from innkeeper.resources.segments import TIMESTAMP

EXAMPLES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "lapsed": (
        "Bought twice, not back for 30 days",
        {
            "filterGroups": [
                {
                    "entity": "order",
                    "count": {"comparator": "is greater than or equal to", "values": [2]},
                },
                {
                    "entity": "session",
                    "filterGroupType": "EXCLUDE",
                    "rules": [
                        {
                            "field": "started_at",
                            "comparator": "is in the past",
                            "comparatorDataType": TIMESTAMP,
                            "values": [30, "days"],
                        }
                    ],
                },
            ]
        },
    ),
    "left": (
        "Viewed, added, did not buy within 7 days",
        {
            "filterGroups": [
                {
                    "sequence": [
                        {"entity": "event", "type": "VIEW"},
                        {"entity": "event", "type": "ADD", "withinDays": 1},
                        {"entity": "order", "absent": True, "withinDays": 7},
                    ]
                }
            ]
        },
    ),
    "spent": (
        "Spent 200 EUR or more in a year",
        {
            "filterGroups": [
                {
                    "entity": "order",
                    "sum": {
                        "field": "price",
                        "currency": "EUR",
                        "comparator": "is greater than or equal to",
                        "values": [200],
                    },
                    "rules": [
                        {
                            "field": "ordered_at",
                            "comparator": "is in the past",
                            "comparatorDataType": TIMESTAMP,
                            "values": [1, "years"],
                        }
                    ],
                }
            ]
        },
    ),
}
"""Name in the query of the builder's URL -> title and definition."""
