"""The titles of reports, in the order of their tabs."""

from typing import Final

TITLES: Final = {
    "revenue": "Revenue",
    "totals": "Totals",
    "abandoned": "Abandoned carts",
    "products": "Products",
    "variants": "Variants",
    "pages": "Pages",
    "campaigns": "Campaigns",
    "events": "Events",
    "funnel": "Funnel",
    "retention": "Retention",
    "rfm_groups": "Buyer groups",
    "rfm": "RFM",
    "guests": "Guests",
    "merges": "Identity",
}
