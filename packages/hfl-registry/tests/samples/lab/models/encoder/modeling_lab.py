from typing import TYPE_CHECKING

import lab.common.scale
from lab.common import gates as G  # noqa: N812  # a short name is what is tried here
from lab.common import scale
from lab.common.layers import (
    Block,
)
from lab.common.layers import positions as make_positions
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput

from .configuration_lab import LabConfig
from .utils.pe import scales

if TYPE_CHECKING:
    from lab.training import Trainer  # noqa: F401  # must not be followed

try:
    import flash_attn
except ImportError:
    flash_attn = None


class LabPreTrainedModel(PreTrainedModel):
    config_class = LabConfig
    base_model_prefix = "lab"

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            module.weight.data.normal_(std=0.5)


class LabModel(LabPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.block = Block(config.hidden_size)
        self.post_init()

    def forward(self, input_ids, **kwargs):
        hidden = self.embed(input_ids) + make_positions(input_ids.shape[1], self.config.hidden_size)
        hidden = self.block(hidden) * scales(self.config.hidden_size)
        return BaseModelOutput(last_hidden_state=hidden * lab.common.scale.FACTOR)


class LabForSequenceClassification(LabPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.lab = LabModel(config)
        self.head = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids, **kwargs):
        hidden = self.lab(input_ids).last_hidden_state
        return SequenceClassifierOutput(logits=self.head(G.gate(hidden.mean(dim=1))) / scale.FACTOR)
