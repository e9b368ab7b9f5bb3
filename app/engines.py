"""Which model a command means, and a vLLM engine for it from the settings.

Knows embedded names and folders; imports vLLM only when an engine is started.
"""

from pathlib import Path

from ucbd.app.settings import Settings, SettingsInvalid
from ucbd.models.engine import Engine
from ucbd.models.reference import EMBEDDED, embedded_model


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


async def start_engine(settings: Settings, location: str) -> Engine:
    """The engine for the model at ``location``. Raises ``EngineStartFailed``."""
    # Imported here: an upstream gateway needs neither vLLM nor torch.
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
