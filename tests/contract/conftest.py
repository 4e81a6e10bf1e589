"""Contract tests talk to one server over HTTP."""

from sites import *  # noqa: F403 - the fixtures
