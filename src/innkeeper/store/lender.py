"""What `Work` needs of the object that lends it connections."""

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

from innkeeper.settings import Settings
from innkeeper.store.batching import BatchQueues
from innkeeper.store.configuration_cache import ConfigurationCache
from innkeeper.store.limiter import Limits
from innkeeper.store.pooled_connection import PooledConnection

if TYPE_CHECKING:
    from innkeeper.store.work import Work


class Lender(Protocol):
    """An object that lends connections: a `Database`."""

    limits: Limits
    batches: BatchQueues
    cache: ConfigurationCache

    @property
    def settings(self) -> Settings: ...

    def work(self, workspace: str, actor: str = ...) -> AbstractAsyncContextManager["Work"]: ...

    async def checkout(self, *, apart: bool = False) -> PooledConnection: ...

    async def put_back(self, connection: PooledConnection, *, apart: bool = False) -> None: ...
