"""The worker's side of the collecting RPC.

vLLM builds the processor and the worker apart and passes neither to the other; what they share is
their process. So the processor's store is announced here, and only here.
"""

from collections.abc import Sequence

from .store import EntropyStore

_stores: list[EntropyStore] = []


def announce(store: EntropyStore) -> EntropyStore:
    """Make a processor's store known to the worker of this process; a newer one replaces it."""
    _stores[:] = [store]
    return store


class EntropyWorker:
    """Methods vLLM mixes into its worker class, called by ``collective_rpc``."""

    def ucbd_collect(
        self,
        requests: Sequence[str],
        forget: Sequence[str],
        running: Sequence[tuple[str, int]] = (),
    ) -> list[list[float] | None] | None:
        """The entropies of each request in nats, see ``EntropyStore.collect``.

        After them those of each ``running`` one (request, start): what there is so far from
        position ``start`` on, which is kept. None when no processor runs in this process.
        """
        if not _stores:
            return None
        store = _stores[0]
        collected = store.collect(requests, forget) if requests or forget else []
        return [*collected, *(store.so_far(request, start) for request, start in running)]

    def ucbd_connect(self, path: str) -> bool:
        """From now on send entropies to who listens at ``path``; False where that cannot be."""
        try:
            for store in _stores:
                store.connect(path)
        except OSError:  # another machine, most likely
            return False
        return bool(_stores)

    def ucbd_kept(self) -> int:
        """How many values wait to be collected in this process."""
        return sum(len(store) for store in _stores)
