"""Batches and files, built from the settings."""

from gateway.batches.batches import Batches
from gateway.batches.checks import ItemChecks
from gateway.durable import DurableEngine
from gateway.files.files import Files
from gateway.services.parts import Parts
from gateway.storage.batch_items_store import BatchItemStore
from gateway.storage.batch_store import BatchStore
from gateway.storage.file_store import FileStore


def batches_and_files(parts: Parts, durable: DurableEngine) -> tuple[Batches, Files]:
    """What serves batches, and what serves the files they are read from."""
    settings, engine, names = parts.settings, parts.engine, parts.router.names
    files = FileStore(engine)
    checks = ItemChecks(
        names.resolve,
        embedding_prefix=names.prefix,
        embedding_model=settings.embedding_model,
        has_embeddings=settings.embedding_api_url is not None,
    )
    ui = (settings.temporal_ui_url or "").rstrip("/")
    namespace = f"{ui}/namespaces/{settings.temporal_namespace}/workflows" if ui else ""
    batches = Batches(BatchStore(engine), BatchItemStore(engine), files, checks, durable, namespace)
    return batches, Files(files)
