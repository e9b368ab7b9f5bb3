"""Which model a command means, and an engine for it from the settings.

Knows embedded names, folders and upstreams; imports vLLM only when an engine of it is started.
"""

from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.models.engine import Engine
from ucbd.models.errors import GatewayError
from ucbd.models.model_files import check_model_folder
from ucbd.models.reference import EMBEDDED, embedded_model
from ucbd.models.supervisor import SupervisedEngine
from ucbd.models.upstream.client import UpstreamClient
from ucbd.models.upstream.engine import UpstreamEngine, Upstreams
from ucbd.models.upstream.health import Pace


def model_location(model: str) -> str:
    """Where vLLM finds the model: an embedded one's folder, a folder, or a name of a hub.

    Raises ``SettingsInvalid`` for a path that is no folder.
    """
    if model in EMBEDDED:
        return str(embedded_model(model))
    path = Path(model).expanduser()
    if path.is_dir():
        return str(path)
    if path.exists() or model.startswith(("/", ".", "~")):
        known = ", ".join(EMBEDDED)
        raise SettingsInvalid(f"model: {model!r} is no folder; the embedded models are {known}")
    return model


def check_model(settings: Settings, location: str) -> None:
    """Raise where it can be seen, before an engine starts, that there is no such model.

    ``EngineStartFailed`` for a folder that holds none, ``SettingsInvalid`` for a name that is
    not among the models that were fetched, where none may be fetched.
    """
    if Path(location).is_dir():
        check_model_folder(Path(location))
        return
    from ucbd.models.vllm_start import fetched  # needed only where vLLM serves

    if not settings.allow_hub and not fetched(location, settings.revision):
        raise SettingsInvalid(
            f"model: {settings.model!r} is none of {', '.join(EMBEDDED)}, no folder, and not among "
            "the models that were fetched from the Hub before; allow_hub = true fetches it"
        )


def starter(settings: Settings) -> Callable[[], Awaitable[Engine]]:
    """What brings the engine up that the settings mean.

    Raises ``SettingsInvalid`` for a model that can be seen not to be there or without vLLM, and
    ``EngineStartFailed`` for a folder that can be seen to hold none.
    """
    if settings.upstream:
        upstreams = _upstreams(settings)
        return lambda: UpstreamEngine.start(upstreams)
    if not find_spec("vllm"):
        raise SettingsInvalid(
            "upstream: there is no vLLM here to serve a model in this process: give --upstream "
            "URL, or install 'ucbd-gateway[engine]' (a GPU) or 'ucbd-gateway[cpu]'"
        )
    location = model_location(settings.model)
    check_model(settings, location)
    return lambda: start_engine(settings, location)


def larger_tier(settings: Settings) -> SupervisedEngine | None:
    """The second, bigger model that the settings name."""
    if settings.larger_model is None:
        return None
    upstreams = Upstreams(
        urls=settings.larger_upstream,
        model=settings.larger_model,
        key=_clear(settings.larger_api_key),
        pace=Pace(patience=settings.upstream_silence_seconds),
    )
    return SupervisedEngine(lambda: UpstreamEngine.start(upstreams))


async def named(settings: Settings) -> Settings:
    """The settings with the model's name, where only the upstreams can tell it.

    Raises ``SettingsInvalid`` when they cannot be asked, or serve several.
    """
    if not settings.upstream or "model" in settings.model_fields_set:
        return settings
    client = UpstreamClient(settings.upstream[0], key=upstream_key(settings))
    try:
        models = [served.id for served in await client.models()]
    except GatewayError as error:
        raise SettingsInvalid(
            f"upstream: cannot ask for its model: {error}; start it first, or say --model NAME"
        ) from error
    finally:
        await client.close()
    if len(models) != 1:
        raise SettingsInvalid(f"model: {client.url} serves {_list(models)}; say --model NAME")
    return settings.model_copy(update={"model": models[0]})


def _upstreams(settings: Settings) -> Upstreams:
    return Upstreams(
        urls=settings.upstream,
        model=settings.model,
        key=upstream_key(settings),
        vocab_size=settings.vocab_size,
        revision=settings.revision,
        pace=Pace(patience=settings.upstream_silence_seconds),
    )


def upstream_key(settings: Settings) -> str | None:
    """The key that the upstreams want, in the clear."""
    return _clear(settings.upstream_api_key)


def _clear(key: SecretStr | None) -> str | None:
    return None if key is None else key.get_secret_value()


def _list(models: Sequence[str]) -> str:
    return ", ".join(models[:10]) or "nothing"


async def start_engine(settings: Settings, location: str) -> Engine:
    """The engine for the model at ``location``. Raises ``EngineStartFailed``."""
    # Imported here: a gateway in front of upstreams needs neither vLLM nor torch.
    from ucbd.models.vllm_engine import VllmEngine
    from ucbd.models.vllm_start import EngineSettings

    return await VllmEngine.start(
        EngineSettings(
            model=location,
            served_name=settings.served_name or settings.model,
            revision=settings.revision,
            dtype=settings.dtype,
            max_model_len=settings.max_model_len,
            max_num_seqs=settings.max_num_seqs,
            kv_cache_gib=settings.kv_cache_gib,
            gpu_memory_utilization=settings.gpu_memory_utilization,
            allow_hub=settings.allow_hub,
        )
    )
