"""The policies of a gateway: found by name, held against what is served, read when they change.

Knows files and the engine's own description; decides nothing. A file that cannot be read costs a
log line and its own policy: what was read of it before stays in force, and without that it is
unavailable. Only the default's stops a start.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from ucbd.app.errors import PolicyUnavailable, UnknownPolicy, refused
from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.cascade.clustering.clusterer import Clusterer
from ucbd.cascade.policy import (
    Policy,
    PolicySet,
    PolicyUnreadable,
    policy_paths,
    read_policies,
    read_policy,
)
from ucbd.models.engine import ModelInfo
from ucbd.models.errors import EngineUnavailable, GatewayError

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0


class Policies:
    """Raises ``SettingsInvalid`` where the settings' default is not among them."""

    def __init__(
        self,
        settings: Settings,
        clusterers: Mapping[str, Clusterer],
        info: Callable[[], ModelInfo],
    ) -> None:
        self._settings = settings
        self._clusterers = clusterers
        self._info = info
        self._known, self.default_name = known_policies(settings)
        self._seen = self._stamp()
        self._asked = asyncio.Event()

    @property
    def default(self) -> Policy:
        """The one for requests that name none."""
        return self._known.by_name[self.default_name]

    @property
    def names(self) -> frozenset[str]:
        """Of all of them."""
        return frozenset(self._known.by_name)

    def listed(self) -> dict[str, tuple[Policy | None, str | None]]:
        """All of them by name, each with the reason why it cannot be used here, None if it can.

        A policy that cannot be read is None.
        """
        known = self._known
        readable = {name: (policy, self._unfit(policy)) for name, policy in known.by_name.items()}
        return readable | {name: (None, _unread(why)) for name, why in known.unreadable.items()}

    def named(self, name: str | None) -> Policy:
        """The policy of that name, the default for None.

        Raises ``UnknownPolicy``, and ``PolicyUnavailable`` with the reason for one that cannot be
        read or was made for something else than what is served.
        """
        chosen = self.default_name if name is None else name
        unreadable = self._known.unreadable.get(chosen)
        if unreadable:
            raise refused(PolicyUnavailable, "policy", f"{chosen!r} {_unread(unreadable)}")
        policy = self._known.by_name.get(chosen)
        if policy is None:
            known = ", ".join(sorted(self._known.by_name))
            raise refused(UnknownPolicy, "policy", f"{chosen!r} is not among {known}")
        complaint = self._unfit(policy)
        if complaint:
            raise refused(PolicyUnavailable, "policy", f"{chosen!r} {complaint}")
        return policy

    def check_default(self, model: str) -> None:
        """Raise ``SettingsInvalid`` where the configured default cannot be used with that model."""
        complaint = self._without(self.default) or (
            self.default.calibration and _other_model(self.default, model)
        )
        if complaint:
            raise SettingsInvalid(f"policy: {self.default_name!r} {complaint}")

    def check_default_served(self) -> None:
        """The same with the engine up, which tells more. Raises ``SettingsInvalid``."""
        complaint = self._unfit(self.default)
        if complaint:
            raise SettingsInvalid(f"policy: {self.default_name!r} {complaint}")

    def reload_soon(self) -> None:
        """Have ``watch`` read every file again now, changed or not."""
        self._asked.set()

    async def watch(self) -> None:
        """Read the files again when they change, until cancelled; requests keep what they have."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                if await asyncio.to_thread(self._stamp) == self._seen:
                    continue
            self._asked.clear()
            await asyncio.to_thread(self._read_again)

    def _read_again(self) -> None:
        stamp = self._stamp()
        try:
            self._known, self.default_name = known_policies(
                self._settings, before=self._known.by_name
            )
            log.info("policies read again: %s", ", ".join(sorted(self._known.by_name)))
        except GatewayError as error:
            log.error("policies stay as they were: %s", error)
        self._seen = stamp

    def _stamp(self) -> tuple[tuple[str, int, int], ...]:
        """Name, time and size of every file that policies are read from."""
        found = []
        for path in _paths(self._settings):
            try:
                stat = path.stat()
            except OSError:
                continue  # going or gone: reading it says so
            found.append((str(path), stat.st_mtime_ns, stat.st_size))
        return tuple(found)

    def _unfit(self, policy: Policy) -> str | None:
        """Why the policy cannot be used here; None where it can."""
        complaint = self._without(policy)
        if complaint or policy.calibration is None:
            return complaint
        try:
            info = self._info()
        except EngineUnavailable:
            return None  # which is what the request will be told
        made = policy.calibration.made_for
        for name, theirs, ours in (
            ("model", made.model, info.id),
            ("revision", made.revision, info.revision),
            ("prompt template", made.prompt_template, info.prompt_template),
        ):
            if theirs is not None and ours is not None and theirs != ours:
                return f"was made for the {name} {theirs!r}, and {ours!r} is served"
        if made.exact_entropy and info.entropy != "exact":
            return f"was made for exact token entropy, and here it is {info.entropy}"
        return self._other_sampling(policy)

    def _without(self, policy: Policy) -> str | None:
        if policy.clusterer is None or policy.clusterer in self._clusterers:
            return None
        return f"needs the clusterer {policy.clusterer!r}, which is not installed"

    def _other_sampling(self, policy: Policy) -> str | None:
        made = policy.calibration.fitted_signal("sampling") if policy.calibration else None
        name = policy.clusterer or self._settings.clusterer
        ours = f"semantic_entropy({self._clusterers[name]},n={policy.samples})"
        if made in (None, ours):
            return None
        return f"was made for {made}, and here it is {ours}"


def known_policies(
    settings: Settings, before: Mapping[str, Policy] = MappingProxyType({})
) -> tuple[PolicySet, str]:
    """All policies, and the default's name; ``settings.policy`` may be a file.

    What cannot be read now is what it was ``before``. Raises ``SettingsInvalid`` or
    ``PolicyUnreadable`` where the default is not among them.
    """
    found = read_policies(settings.policies)
    name = settings.policy
    if name not in found.by_name and name.endswith(".json"):
        path = Path(name)
        name = path.stem
        try:
            found.by_name[name] = read_policy(path)
        except PolicyUnreadable as error:
            found.unreadable[name] = error
    if name in found.unreadable and name not in before:
        raise found.unreadable[name]
    _stand_in(found, before)
    if name not in found.by_name:
        known = ", ".join(sorted(found.by_name))
        raise SettingsInvalid(f"policy: {name!r} is neither a file nor one of {known}")
    return found, name


def _stand_in(found: PolicySet, before: Mapping[str, Policy]) -> None:
    """What was read ``before`` for what cannot be read now; every such file is told."""
    for name, error in list(found.unreadable.items()):
        if name in before:
            log.error("a policy stays as it was: %s", error)
            found.by_name[name] = before[name]
            del found.unreadable[name]
        else:
            log.error("a policy is unavailable: %s", error)


def _unread(error: PolicyUnreadable) -> str:
    """As a client may know it, without the file's path."""
    return f"cannot be read: {error.complaint}"


def _paths(settings: Settings) -> list[Path]:
    own = [Path(settings.policy)] if settings.policy.endswith(".json") else []
    return [*policy_paths(settings.policies), *own]


def _other_model(policy: Policy, model: str) -> str | None:
    made = policy.calibration.made_for.model if policy.calibration else None
    if made in (None, model):
        return None
    return f"was made for the model {made!r}, and {model!r} is served"
