"""Property tests talk to one server too; INNKEEPER_LONG=1 tries many more examples."""

import pytest
from hypothesis import HealthCheck, settings
from profiles import LONG
from sites import *  # noqa: F403 - the fixtures

pytest.register_assert_rewrite("compared", "rest_sources")

# Every day the same examples, so that a red run is a change's own doing; the long run draws anew.
settings.register_profile(
    "everyday",
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long", settings.get_profile("everyday"), max_examples=5000, derandomize=False
)
settings.load_profile("long" if LONG else "everyday")
