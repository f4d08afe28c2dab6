from transformers import PretrainedConfig


class LabConfig(PretrainedConfig):
    model_type = "lab-encoder"

    def __init__(self, vocab_size=20, hidden_size=8, num_labels=3, **kwargs):
        super().__init__(num_labels=num_labels, **kwargs)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
