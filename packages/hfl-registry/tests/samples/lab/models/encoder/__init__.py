from .configuration_lab import LabConfig
from .modeling_lab import LabForSequenceClassification, LabModel

__all__ = ["LabConfig", "LabForSequenceClassification", "LabModel"]
