"""One training run with a real Trainer and a tiny model, as a dictionary describes it."""

from __future__ import annotations

import hashlib
import logging
import os
import signal

import torch
import transformers
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments

import hfl_checkpoint
from hfl_core import HflError
from hfl_integrations._trainer import _compat
from hfl_integrations.transformers import LifecycleCallback, export_for_trainer

JOINS = True  # before the Trainer would


class Messages(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.texts: list = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.levelname}: {record.getMessage()}")


class Signals(TrainerCallback):
    """Sends this process a signal at the end of a step, with the save under way done or not."""

    def __init__(self, wanted: dict, manager) -> None:
        self.wanted, self.manager = wanted, manager
        self.saves: list = []
        self.steps = 0

    def on_step_end(self, args, state, control, **_) -> None:
        self.steps += 1
        at = self.wanted.get("signal_at")
        rank = int(os.environ.get("RANK", "0"))
        if at and at[0] == state.global_step and rank in (at[2:] or [rank]):
            if self.manager is not None:
                self.manager.wait()
            number = getattr(signal, at[1])
            if self.wanted.get("to_group"):
                _send_to_group(number)
            else:
                os.kill(os.getpid(), number)

    def on_save(self, args, state, control, **_) -> None:
        self.saves.append(state.global_step)


def _send_to_group(number: int) -> None:
    """As a scheduler or a terminal does: to all, from somebody who is no parent of the workers."""
    sender = os.fork()
    if sender == 0:
        signal.signal(number, signal.SIG_DFL)
        os.killpg(os.getpgrp(), number)
        os._exit(0)
    os.waitpid(sender, 0)


class Counter(TrainerCallback):
    """Counts steps, and has a state as anything else has."""

    def __init__(self) -> None:
        self.counted = 0

    def on_step_end(self, *_, **__) -> None:
        self.counted += 1

    def state_dict(self) -> dict:
        return {"counted": self.counted}

    def load_state_dict(self, state: dict) -> None:
        self.counted = state["counted"]


def _language_model():
    config = transformers.GPT2Config(
        vocab_size=32, n_positions=8, n_embd=8, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    return transformers.GPT2LMHeadModel(config)


def _adapted():
    import peft

    lora = peft.LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["c_attn"], lora_dropout=0.1)
    lora.fan_in_fan_out = True
    return peft.get_peft_model(_language_model(), lora)


def _digits_model():
    config = transformers.ViTConfig(
        image_size=8, patch_size=4, num_channels=1, hidden_size=8, intermediate_size=8,
        num_hidden_layers=1, num_attention_heads=2, num_labels=10, hidden_dropout_prob=0.1,
    )  # fmt: skip
    return transformers.ViTForImageClassification(config)


def _translator():
    config = transformers.T5Config(
        vocab_size=32, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    return transformers.T5ForConditionalGeneration(config)


def _classifier():
    # MiniLM's architecture, and nearly nothing of its size.
    config = transformers.BertConfig(
        vocab_size=32, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=16, num_labels=3,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def _texts(count: int) -> list:
    drawn = torch.randint(1, 32, (count, 6), generator=torch.Generator().manual_seed(3))
    return [{"input_ids": row, "labels": row} for row in drawn]


def _images(count: int) -> list:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return [
        {"pixel_values": torch.tensor(image / 16, dtype=torch.float32)[None], "labels": int(label)}
        for image, label in zip(digits.images[:count], digits.target[:count])
    ]


def _sentences(count: int) -> list:
    dice = torch.Generator().manual_seed(4)
    lengths = torch.randint(2, 9, (count,), generator=dice).tolist()
    return [
        {
            "input_ids": torch.randint(1, 32, (length,), generator=dice).tolist(),
            "labels": length % 3,
        }
        for length in lengths
    ]


def _padded(rows: list) -> dict:
    longest = max(len(row["input_ids"]) for row in rows)
    padded = [row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in rows]
    ids = torch.tensor(padded)
    labels = torch.tensor([row["labels"] for row in rows])
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": labels}


class Stream(torch.utils.data.IterableDataset):
    """Rows one after the other, the same each time."""

    def __init__(self, rows: list) -> None:
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


def _stream(count: int) -> Stream:
    return Stream(_texts(count))


KINDS = {
    "classifier": (_classifier, _sentences),
    "stream": (_language_model, _stream),
    "text": (_language_model, _texts),
    "adapter": (_adapted, _texts),
    "digits": (_digits_model, _images),
    "translation": (_translator, _texts),
}
for _make_model, _ in KINDS.values():
    _make_model()  # imports what runs need, once for all of them


def _arguments(wanted: dict):
    settings = {
        "output_dir": wanted["output"],
        "per_device_train_batch_size": 4,
        "per_device_eval_batch_size": 8,
        "num_train_epochs": 3,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "seed": 5,
        **({"ddp_backend": "gloo"} if "RANK" in os.environ else {}),
        **wanted.get("args", {}),
    }
    if wanted["kind"] == "translation":
        return transformers.Seq2SeqTrainingArguments(**settings)
    return TrainingArguments(**settings)


def _callback(wanted: dict):
    if wanted.get("directory") is None:
        return None
    names = {name: getattr(hfl_checkpoint, name) for name in hfl_checkpoint.__all__}
    options = {
        name: eval(text, names) if isinstance(text, str) and name in ("save", "keep") else text
        for name, text in wanted.get("options", {}).items()
    }
    return LifecycleCallback(wanted["directory"], **options)


def run(wanted: dict) -> dict:
    messages = Messages()
    log = logging.getLogger("hfl")
    log.addHandler(messages)
    log.setLevel(logging.INFO)
    error = None
    report: dict = {}
    try:
        OTHERS.get(wanted["kind"], _train)(wanted, report)
    except (HflError, KeyError, ValueError, OSError) as caught:
        error = {
            "type": type(caught).__name__,
            "text": str(caught),
            "hint": getattr(caught, "hint", None),
        }
    return {**report, "error": error, "messages": messages.texts}


def _save_without_trainer(wanted: dict, _: dict) -> None:
    with hfl_checkpoint.CheckpointManager(wanted["directory"]) as manager:
        manager.save(3, counters={"seen": 1})


def _versions(wanted: dict, report: dict) -> None:
    report["refused"] = {}
    for version in wanted["versions"]:
        try:
            _compat.require_supported(version)
        except HflError as error:
            report["refused"][version] = [type(error).__name__, str(error)]
    report["carries_gradients"] = _compat.carries_gradients_over_epochs()
    report["corrects_epochs"] = _compat.can_correct_epochs()


OTHERS = {"no trainer": _save_without_trainer, "versions": _versions}


def _train(wanted: dict, report: dict) -> None:
    make_model, make_data = KINDS[wanted["kind"]]
    transformers.set_seed(1)
    model = make_model()
    args = _arguments(wanted)
    if wanted.get("to_group"):
        os.setsid()
    callback = _callback(wanted)
    counter = Counter()
    signals = Signals(wanted, callback.manager if callback else None)
    callbacks = [signals, counter]
    if callback is not None:
        callbacks.insert(0, callback)
    if "patience" in wanted:
        callbacks += [EarlyStoppingCallback(count) for count in wanted["patience"]]
    rows = make_data(wanted.get("rows", 26))
    trainer_class = transformers.Seq2SeqTrainer if wanted["kind"] == "translation" else Trainer
    trainer = trainer_class(
        model=model,
        args=args,
        train_dataset=rows,
        eval_dataset=rows[:8] if args.eval_strategy != "no" else None,
        data_collator=_padded if wanted["kind"] == "classifier" else None,
        callbacks=callbacks,
    )
    out = trainer.train(resume_from_checkpoint=wanted.get("resume"))
    if wanted.get("save_model"):
        trainer.save_model()
    manager = callback.manager if callback else None
    report.update(
        step=out.global_step,
        loss=out.training_loss,
        steps=signals.steps,
        saves=signals.saves,
        counted=counter.counted,
        model=_digest(model.state_dict()),
        optimizer=_digest(trainer.optimizer.state_dict()["state"]),
        history=[
            {
                name: value
                for name, value in entry.items()
                if not name.endswith(("_runtime", "_per_second"))
            }
            for entry in trainer.state.log_history
            if "train_loss" not in entry
        ],
        patience=[
            item.early_stopping_patience_counter
            for item in trainer.callback_handler.callbacks
            if isinstance(item, EarlyStoppingCallback)
        ],
        best=trainer.state.best_model_checkpoint,
        best_metric=trainer.state.best_metric,
        settings=[str(args.save_strategy), args.save_total_limit],
    )
    if manager is not None:
        manager.close()
        report.update(
            checkpoints=[
                {"name": item.name, "step": item.step, "epoch": item.epoch, "reason": item.reason,
                 "metrics": dict(item.metrics), "components": list(item.components)}
                for item in manager.checkpoints()
            ],
            is_preempted=callback.is_preempted,
        )  # fmt: skip
    if wanted.get("export"):
        step, folder = wanted["export"]
        report["exported"] = str(export_for_trainer(manager.get(step=step), folder))


def _digest(state) -> str:
    digest = hashlib.sha256()
    _feed(digest, state)
    return digest.hexdigest()


def _feed(digest, value) -> None:
    if isinstance(value, torch.Tensor):
        digest.update(str(value.dtype).encode())
        digest.update(value.detach().contiguous().numpy().tobytes())
    elif isinstance(value, dict):
        for name in sorted(value, key=str):
            digest.update(str(name).encode())
            _feed(digest, value[name])
    else:
        digest.update(repr(value).encode())
