"""Static files under names that carry their content's hash, so that browsers keep them for ever."""

from servestatic.storage import CompressedManifestStaticFilesStorage


class HashedStorage(CompressedManifestStaticFilesStorage):
    """Hashes names inside ES modules, too: without this an import would name the unhashed file."""

    support_js_module_import_aggregation = True
