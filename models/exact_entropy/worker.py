"""The worker's side of the collecting RPC.

vLLM builds the processor and the worker apart and passes neither to the other; what they share is
their process. So the processor's store is announced here, and only here.
"""

from collections.abc import Sequence

from ucbd.models.exact_entropy.store import EntropyStore

_stores: list[EntropyStore] = []


def announce(store: EntropyStore) -> EntropyStore:
    """Make a processor's store known to the worker of this process; a newer one replaces it."""
    _stores[:] = [store]
    return store


class EntropyWorker:
    """Methods vLLM mixes into its worker class, called by ``collective_rpc``."""

    def ucbd_collect(
        self, requests: Sequence[str], forget: Sequence[str]
    ) -> list[list[float] | None] | None:
        """The entropies of each request in nats, see ``EntropyStore.collect``.

        None when no processor runs in this process.
        """
        return _stores[0].collect(requests, forget) if _stores else None

    def ucbd_kept(self) -> int:
        """How many values wait to be collected in this process."""
        return sum(len(store) for store in _stores)
