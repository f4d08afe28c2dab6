"""A tokenizer and a processor of one's own."""

import json
import os

from lab.common.words import split_words
from transformers import PreTrainedTokenizer, ProcessorMixin


class LabTokenizer(PreTrainedTokenizer):
    vocab_files_names = {"vocab_file": "lab_vocab.json"}
    model_input_names = ["input_ids", "attention_mask"]

    def __init__(self, vocab_file, unk_token="<unk>", pad_token="<pad>", **kwargs):
        with open(vocab_file, encoding="utf-8") as file:
            self._ids = json.load(file)
        self._words = {number: word for word, number in self._ids.items()}
        super().__init__(unk_token=unk_token, pad_token=pad_token, **kwargs)

    @property
    def vocab_size(self):
        return len(self._ids)

    def get_vocab(self):
        return {**self._ids, **self.added_tokens_encoder}

    def _tokenize(self, text, **kwargs):
        return split_words(text)

    def _convert_token_to_id(self, token):
        return self._ids.get(token, self._ids["<unk>"])

    def _convert_id_to_token(self, index):
        return self._words.get(index, "<unk>")

    def save_vocabulary(self, save_directory, filename_prefix=None):
        name = (filename_prefix + "-" if filename_prefix else "") + "lab_vocab.json"
        path = os.path.join(save_directory, name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self._ids, file)
        return (path,)


class LabProcessor(ProcessorMixin):
    attributes = ["tokenizer"]
    tokenizer_class = "AutoTokenizer"

    def __init__(self, tokenizer=None, shout=False, **kwargs):
        super().__init__(tokenizer)
        self.shout = shout

    def __call__(self, text=None, **kwargs):
        return self.tokenizer(text.upper() if self.shout else text.lower(), **kwargs)
