"""Audience exports: formats, columns, statuses (segmentation-and-export.md 2)."""

from typing import Final

CSV: Final = "CSV"
JSON: Final = "JSON"
NDJSON: Final = "NDJSON"
PARQUET: Final = "PARQUET"
FORMATS: Final = (CSV, JSON, NDJSON, PARQUET)
"""JSON holds each guest as a string, `{"data": "…"}`, like the vendor's files (rest-v2.1.md 10)."""
DELIMITERS: Final = (",", "|")
MOST_COLUMNS: Final = 200
MOST_ROWS: Final = 500_000
"""Most records of one file; more are split into several (2.2)."""

FULL_SYNC: Final = "FULL_SYNC"
DELTA: Final = "DELTA"
INSTANT_RUN: Final = "INSTANT_RUN"
SCHEDULED: Final = "SCHEDULED"
ADD: Final = "add"
REMOVE: Final = "remove"

SUCCESS: Final = "SUCCESS"
FAILED: Final = "FAILED"
FINISHED: Final = frozenset({SUCCESS, FAILED})

FILES_PATH: Final = "/v2/audienceExports/executions/{execution}/export"
"""The path of the list of files of an execution."""
LISTS: Final = ("identifiers", "orders", "order_items", "sessions", "events")
"""Columns that hold a list of all of a guest's rows of one kind, in JSON formats."""
HASHED: Final = "sha256"
HASHED_FIELDS: Final = ("email", "phone")
"""Columns `sha256.email` and `sha256.phone`: digests of normalised values, as advertising audiences
match them."""
DAILY: Final = "DAILY"
WEEKLY: Final = "WEEKLY"
CRONS: Final = {DAILY: "30 0 * * *", WEEKLY: "30 0 * * 1"}
"""Cron lines, UTC: half an hour after the nightly calculation of segments."""

TABLE_COLUMNS: Final = ("firstName", "lastName", "email", "city", "country", "lastSeen")
"""Columns of a table of guests, unless others are named."""

EMAIL: Final = "EMAIL"
PHONE: Final = "PHONE"
POST: Final = "POST"
CHANNELS: Final = (EMAIL, PHONE, POST)
BY_COLUMNS: Final = "COLUMNS"
NOBODY: Final = "NONE"
CONSENT_CHOICES: Final = (BY_COLUMNS, *CHANNELS, NOBODY)
"""Guests that an export excludes: those unsubscribed from its channels, from one, or none."""
