"""Every dialect that is served."""

from innkeeper.wire.nested import OPEN_GUEST, OPEN_GUEST_EXTENSION
from innkeeper.wire.official import GUEST, GUEST_EXTENSION
from innkeeper.wire.views import Dialect

V21 = Dialect(
    name="v2.1",
    views=((OPEN_GUEST, GUEST), (OPEN_GUEST_EXTENSION, GUEST_EXTENSION)),
)

DIALECTS: tuple[Dialect, ...] = (V21,)
