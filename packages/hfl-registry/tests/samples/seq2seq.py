"""An encoder-decoder that changes a library's own a little."""

from transformers import T5Config, T5ForConditionalGeneration


class NoteConfig(T5Config):
    model_type = "note"

    def __init__(self, loudness=2.0, **kwargs):
        super().__init__(**kwargs)
        self.loudness = loudness


class NoteForConditionalGeneration(T5ForConditionalGeneration):
    config_class = NoteConfig

    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        output["logits"] = output["logits"] * self.config.loudness
        return output


def small():
    return NoteConfig(
        vocab_size=24,
        d_model=8,
        d_kv=4,
        d_ff=8,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
