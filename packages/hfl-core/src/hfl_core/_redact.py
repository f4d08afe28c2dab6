"""Text without tokens, passwords and home folders, so that it can be logged, shown or stored."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Match, Pattern

MASK = "***"

# What a credential looks like wherever it stands. Each shape needs a tail that is long enough not
# to be a word: `hf_hub_download`, `sk-learn-compatible` and `Bearer of news` are none.
_TOKEN_SHAPES = re.compile(
    r"""(?<![A-Za-z0-9_])(?:
        hf_[A-Za-z0-9]{16,}                                  # Hugging Face user token
      | (?:hf_oauth_|hf_jwt_|hf_local_|api_org_)[A-Za-z0-9._-]{12,}
      | gh[opsur]_[A-Za-z0-9]{16,} | github_pat_[A-Za-z0-9_]{16,} | glpat-[A-Za-z0-9_-]{16,}
      | (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}                  # AWS access key id
      | AIza[A-Za-z0-9_-]{30,}                               # Google API key
      | xox[abeoprs]-[A-Za-z0-9-]{10,}                       # Slack
      | (?:pypi|npm)[-_][A-Za-z0-9_-]{30,}
      | eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?    # JWT
    )""",
    re.VERBOSE,
)
_SK_KEY = re.compile(
    r"(?<![A-Za-z0-9_-])sk-(?:(?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{20,})"
)
_BEARER = re.compile(
    r"(?i)(?<![A-Za-z0-9_])(bearer|basic)(\s+)"
    r"(?:(?=[A-Za-z._~+/-]*[0-9_=])[A-Za-z0-9._~+/=-]{8,}|[A-Za-z0-9._~+/=-]{20,})"
)
_AUTHORIZATION = re.compile(
    r"(?i)(?<![A-Za-z0-9_])((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)"
    r"(?:(bearer|basic|token|digest)(\s+))?([^\s\"',;}\]]+)"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN ([A-Z ]{0,40}PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL
)
# Webhook addresses are secrets as a whole: whoever has one can post.
_WEBHOOK = re.compile(
    r"(?i)(https://(?:hooks\.slack\.com/(?:services|workflows|triggers)"
    r"|(?:discord|discordapp)\.com/api/webhooks))/[^\s\"'<>]+"
)
# The same in the form that apprise reads.
_NOTIFY_URL = re.compile(
    r"(?i)(?<![A-Za-z0-9+.-])((?:slack|discord|tgram|msteams|workflows?|gchat|googlechat|mmosts?|rockets?"
    r"|matrixs?|zulip|webex|wxteams|guilded|mailgun|sendgrid|twilio|pover|pbul|pagerduty|opsgenie|victorops"
    r"|gotifys?|ntfys?|ifttt|feishu|lark|dingtalk|wecombot|simplepush)://)[^\s\"'<>]+"
)
_URL_PASSWORD = re.compile(
    r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{0,30}://)[^\s/@:\"']*:[^\s/\"']*@"
)
# `https://TOKEN@host` is how git is given a token; `hf://gpt2@main` is an address.
_URL_USER = re.compile(r"(?i)(?<![A-Za-z0-9+.-])(https?://)[^\s/@:\"'?#]+@")
_URL_QUERY = re.compile(
    r"(?i)([?&](?:[a-z0-9-]{0,30}[_-])?(?:signature|sig|credential|token|key|secret|policy|key-pair-id)=)"
    r"[^&\s\"'<>#]+"
)

# A name and what separates it from its value: `NAME=`, `"name": `, `--name `.
_NAME = re.compile(
    r"""(?<![A-Za-z0-9_.-])
    (?P<name>[A-Za-z0-9_.-]{1,80})
    (?:\\?["']?\s{0,8}(?:=>|:=|:(?![:/])|=(?!=))\s{0,8}|(?P<gap>[ \t]{1,8}(?!-)))""",
    re.VERBOSE,
)
_VALUE = re.compile(
    r"""\\"(?:[^"\\]|\\(?!"))*\\"     # a quoted string inside a quoted string
      | [rbu]?"(?:[^"\\\n]|\\.)*"
      | [rbu]?'(?:[^'\\\n]|\\.)*'
      | [^\s,;&)\]}"'\\]+""",
    re.VERBOSE,
)
_YAML_PASSWORD = re.compile(
    r"(?im)^([ \t-]*[a-z0-9_.-]{0,60}(?:password|passwd|passphrase):[ \t]+)(?![\"'*])\S[^\n]*"
)

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:secret|password|passwd|passphrase|pwd|apikey|credentials?"
    r"|(?:api|access|secret|private|encryption|signing|auth|account|storage|master)_key"
    r"|secret_access_key|sas_token|connection_string)$"
)
_TOKEN_NAME = re.compile(r"(?:^|_)(?:token|authtoken)$")
_TOKEN_OWNERS = re.compile(
    r"(?:^|_)(?:hf|hub|hfl|huggingface|hugging_face|api|auth|access|refresh|bearer|oauth|session|secret|github"
    r"|gh|gitlab|slack|wandb|security|admin|deploy|personal|bot|write|read|user)_token$"
)
# Tokens of a text, not of a person.
_VOCABULARY = re.compile(
    r"(?:^|_)(?:bos|eos|pad|unk|sep|cls|mask|image|video|audio|special|prefix|suffix|middle|start|end|stop"
    r"|begin|memory|register|boi|eoi|eot|eom|next|last|first|new|per|num|max|min|dist|distillation|query|class"
    r"|vision|text|speech|use|n|fill|word|unknown|padding|any|every|each)_token$"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_A_VALUE = re.compile(
    r"(?i)(?:none|null|true|false|str|bytes|int|bool|float|optional.*|\*+|~|-)"
)
_NUMBER = re.compile(r"[+-]?[0-9][0-9_]*(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?")
_SPECIAL_TOKEN = re.compile(r"<.*>?|\[.*\]?|▁.*|\W*")
_PLAIN_WORD = re.compile(r"[A-Z]?[a-z]{1,15}[.!?]?")

_POSIX_HOME = re.compile(
    r"(?<![\w.~-])/(?:home|Users)/[^/\s\"'<>:;,()\[\]{}|]+(?=[/\s\"'<>:;,()\[\]{}|]|$)"
)
_ROOT_HOME = re.compile(r"(?<![\w.~-])(?<!\w/)/root(?=[/\s\"'<>:;,()\[\]{}|]|$)")
_WINDOWS_HOME = re.compile(
    r"(?i)(?<![A-Za-z0-9])[a-z]:(\\\\|\\|/)Users(?:\\\\|\\|/)"
    r"(?:[^\\/:*?\"<>|\r\n]{1,64}(?=[\\/])|[^\\/\s:*?\"'<>|]+)"
)


def redact(text: str) -> str:
    """Mask secrets and home folders in a text.

    Masks tokens by their shape (Hugging Face, GitHub, AWS, `sk-…`, `Bearer …` and others),
    credentials inside URLs, values that stand under a secret-like name (`HF_TOKEN=…`,
    `"api_key": "…"`), and turns home folders into `~`. Hyperparameters such as `max_tokens=512`,
    digests and plain prose stay as they are. Redacting twice changes nothing more.

    Args:
        text: Any text: a message, a traceback, a file's content.

    Returns:
        The same text with `***` in place of each secret.

    Example:
        >>> redact("HF_TOKEN=hf_abcdefghijklmnopqrstuvwxyz for max_tokens=512")
        'HF_TOKEN=*** for max_tokens=512'
    """
    return _mask_homes(_mask_assignments(mask_shapes(text)))


def mask_shapes(text: str) -> str:
    """Mask what is a secret by its shape alone; names, paths and everything else stay.

    Args:
        text: Any text, such as an error's message.
    """
    text = _PRIVATE_KEY.sub(MASK, text)
    text = _WEBHOOK.sub(rf"\1/{MASK}", text)
    text = _NOTIFY_URL.sub(rf"\1{MASK}", text)
    text = _URL_PASSWORD.sub(rf"\1{MASK}@", text)
    text = _URL_USER.sub(rf"\1{MASK}@", text)
    text = _URL_QUERY.sub(rf"\1{MASK}", text)
    text = _TOKEN_SHAPES.sub(MASK, text)
    text = _SK_KEY.sub(MASK, text)
    text = _BEARER.sub(rf"\1\2{MASK}", text)
    text = _AUTHORIZATION.sub(_mask_authorization, text)
    return _YAML_PASSWORD.sub(rf"\1{MASK}", text)


def is_secret_name(name: str) -> bool:
    """Say whether a value under this name is a secret whatever it looks like.

    Args:
        name: A variable, key, header or option: ``HF_TOKEN``, ``apiKey``, ``--password``.

    Returns:
        True for names of secrets; False for the vocabulary's tokens and everything else.

    Example:
        >>> is_secret_name("HF_TOKEN"), is_secret_name("eos_token"), is_secret_name("max_tokens")
        (True, False, False)
    """
    return _secrecy(name) > 0


def _normalized(name: str) -> str:
    return re.sub(r"[.\-\s]+", "_", _CAMEL.sub("_", name)).strip("_").lower()


@lru_cache(maxsize=4096)
def _secrecy(name: str) -> int:
    """0: no secret; 1: a secret unless the value is harmless; 2: a secret whatever the value."""
    normalized = _normalized(name)
    if _SECRET_NAME.search(normalized):
        return 2
    if not _TOKEN_NAME.search(normalized) or _VOCABULARY.search(normalized):
        return 0
    return 2 if _TOKEN_OWNERS.search(normalized) else 1


def _mask_assignments(text: str) -> str:
    # A loop and not one substitution: the value of a harmless name may hold a secret one, as in
    # `env: HF_TOKEN=…`, so only masked values are stepped over.
    parts: list[str] = []
    copied = position = 0
    while True:
        name = _NAME.search(text, position)
        if name is None:
            return "".join([*parts, text[copied:]])
        position = name.end("name")
        value = _VALUE.match(text, name.end()) if _may_hold_a_secret(name) else None
        if value is None:
            continue
        masked = _masked(value.group(), name)
        if masked is not None:
            parts += [text[copied : value.start()], masked]
            copied = position = value.end()


def _may_hold_a_secret(name: Match[str]) -> bool:
    if name.group("gap") and not name.group("name").startswith("--"):
        return False
    return _secrecy(name.group("name")) > 0


def _masked(value: str, name: Match[str]) -> str | None:
    opening, inner, closing = _unquote(value)
    if not inner or _NOT_A_VALUE.fullmatch(inner):
        return None
    if _secrecy(name.group("name")) == 1:
        is_prose = not closing and ":" in name.group()[len(name.group("name")) :]
        if _is_harmless(inner, is_prose=is_prose):
            return None
    return f"{opening}{MASK}{closing}"


def _unquote(value: str) -> tuple[str, str, str]:
    for quote in ('\\"', '"', "'"):
        if value.endswith(quote) and quote in value[: -len(quote)]:
            start = value.index(quote) + len(quote)
            return value[:start], value[start : -len(quote)], quote
    return "", value, ""


def _is_harmless(value: str, *, is_prose: bool) -> bool:
    if _NUMBER.fullmatch(value) or _SPECIAL_TOKEN.fullmatch(value):
        return True
    return is_prose and _PLAIN_WORD.fullmatch(value) is not None  # "token: expired"


def _mask_authorization(match: Match[str]) -> str:
    # A tokenizer's vocabulary has the word, too, with its number: {"authorization":20104}.
    if not match.group(1).endswith(("'", '"')) and _NUMBER.fullmatch(match.group(4)):
        return match.group(0)
    return f"{match.group(1)}{match.group(2) or ''}{match.group(3) or ''}{MASK}"


def _mask_homes(text: str) -> str:
    if "/" not in text and "\\" not in text:
        return text
    own = _own_home()
    if own is not None:
        text = own.sub("~", text)
    text = _WINDOWS_HOME.sub("~", text)
    text = _POSIX_HOME.sub("~", text)
    return _ROOT_HOME.sub("~", text)


def _own_home() -> Pattern[str] | None:
    try:
        return _home_pattern(str(Path.home()))
    except (
        KeyError,
        RuntimeError,
    ):  # nobody knows a home (Python 3.8: KeyError), so there is none to hide
        return None


@lru_cache(maxsize=8)
def _home_pattern(home: str) -> Pattern[str] | None:
    stripped = home.rstrip("/\\")
    if len(Path(stripped).parts) < 2:  # "/" or a drive: replacing it would hide every path
        return None
    return re.compile(rf"(?<![\w.~-]){re.escape(stripped)}(?=[/\\\s\"'<>:;,()\[\]{{}}|]|$)")
