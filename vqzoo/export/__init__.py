"""Exports tokenizers and priors for other programs: SavedModel, LiteRT, and plain Keras models."""

from vqzoo.export.generator import export_generator
from vqzoo.export.litert import LITERT_FORMS
from vqzoo.export.litert import export_litert
from vqzoo.export.litert import export_litert_files
from vqzoo.export.portable import export_portable
from vqzoo.export.portable import portable_models
from vqzoo.export.preset import export_preset
from vqzoo.export.prior_preset import export_prior_preset
from vqzoo.export.prior_preset import verify_prior_export
from vqzoo.export.saved_model import export_saved_model
from vqzoo.export.verify import EXPORT_FORMS
from vqzoo.export.verify import Agreement
from vqzoo.export.verify import verify_exports
from vqzoo.presets.layout import LITERT_FILES

__all__ = [
    "Agreement",
    "EXPORT_FORMS",
    "LITERT_FILES",
    "LITERT_FORMS",
    "export_generator",
    "export_litert",
    "export_litert_files",
    "export_portable",
    "export_preset",
    "export_prior_preset",
    "export_saved_model",
    "portable_models",
    "verify_exports",
    "verify_prior_export",
]
