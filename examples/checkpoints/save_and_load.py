"""Save a model with its tokenizer, and open the checkpoint with transformers alone."""

import tempfile

import tokenizers
import torch
import transformers

from hfl_checkpoint import CheckpointManager

vocabulary = tokenizers.models.WordLevel({"[UNK]": 0, "save": 1, "load": 2}, unk_token="[UNK]")
tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=tokenizers.Tokenizer(vocabulary), unk_token="[UNK]"
)
config = transformers.GPT2Config(
    vocab_size=3, n_positions=8, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=0
)
model = transformers.GPT2LMHeadModel(config)
optimizer = torch.optim.AdamW(model.parameters())

directory = tempfile.mkdtemp()
with CheckpointManager(directory) as checkpoints:
    pending = checkpoints.save(
        1, metrics={"loss": 0.5}, model=model, tokenizer=tokenizer, optimizer=optimizer
    )
    checkpoint = pending.result()

# The folder is what save_pretrained would have written, and the training state beside it.
again = transformers.AutoModelForCausalLM.from_pretrained(str(checkpoint.path))
words = transformers.AutoTokenizer.from_pretrained(str(checkpoint.path))
assert torch.equal(again.transformer.wte.weight, model.transformer.wte.weight)
assert words("load").input_ids == [2]

# Back into live objects, bit for bit. The tokenizer is compared, not changed.
report = CheckpointManager(directory).resume(
    model=transformers.GPT2LMHeadModel(config), tokenizer=tokenizer
)
print(f"restored {', '.join(report.restored)} from {report.checkpoint.name}")
for warning in report.warnings:
    print(f"note: {warning}")
