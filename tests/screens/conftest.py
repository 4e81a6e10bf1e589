"""The screens over plain HTTP, without a browser."""

from collections.abc import Iterator

import pytest
from sites import *  # noqa: F403
from sites import Site
from visiting import Person, log_in


@pytest.fixture(scope="session")
def owner(site: Site) -> Iterator[Person]:
    """Somebody who may do everything."""
    person = log_in(site)
    yield person
    person.http.close()


@pytest.fixture(scope="session")
def developer(site: Site) -> Iterator[Person]:
    """Somebody who does not see personal data."""
    person = log_in(site, "developer")
    yield person
    person.http.close()


@pytest.fixture(scope="session")
def analyst(site: Site) -> Iterator[Person]:
    """Somebody who sees personal data, and no settings."""
    person = log_in(site, "analyst")
    yield person
    person.http.close()
