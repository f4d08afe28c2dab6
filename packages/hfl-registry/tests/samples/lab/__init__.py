"""A package that drags much along when it is imported."""

from lab.models.encoder import LabConfig, LabForSequenceClassification  # noqa: F401
