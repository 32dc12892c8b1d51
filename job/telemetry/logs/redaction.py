"""Takes secrets out of text that is about to be logged.

The second line of defence: nothing here logs a secret on purpose, but the exceptions and debug
records of libraries quote requests and URLs::

    redact("Authorization: Bearer abc")  # "Authorization: [redacted]"

It knows the usual shapes only; a password in the middle of a sentence passes.
"""

import re
from collections.abc import Callable

REDACTED = "[redacted]"

# Names of fields whose whole value is hidden.
_SECRET_NAME = re.compile(
    r"(?i)^(?:.*[_.-])?(?:password|passwd|secret|api_?key|private_?key|credentials?|"
    r"authorization|(?:access|auth|refresh|id|bearer|session|security)[_-]?token)$"
)

_Replacement = str | Callable[[re.Match[str]], str]
_PATTERNS: tuple[tuple[re.Pattern[str], _Replacement], ...] = (
    # A private key, in PEM or inside the JSON of a service account; cut short or not.
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}KEY-----|\Z)",
            re.DOTALL,
        ),
        REDACTED,
    ),
    # A header: Authorization: Bearer x, 'authorization': 'Basic x'.
    (
        re.compile(
            r"(?i)(\b(?:proxy-)?authorization['\"]?\s{0,4}[:=]\s{0,4}(?:b?['\"])?)"
            r"(?:[a-z0-9]{1,20}[ ]+)?[^\s'\",;}]+"
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(?i)\b(bearer\s{1,4})[a-z0-9._~+/=-]{8,}"), rf"\1{REDACTED}"),
    # The parts of a signed URL that make it one.
    (
        re.compile(
            r"(?i)([?&](?:x-(?:goog|amz)-(?:signature|credential|security-token)|signature|sig|"
            r"googleaccessid|awsaccesskeyid|upload_id|key|token|access_token)=)[^&\s'\"]+"
        ),
        rf"\1{REDACTED}",
    ),
    # https://user:password@host
    (re.compile(r"(://)[^/\s:@'\"]{1,256}:[^/\s@'\"]{1,256}@"), rf"\1{REDACTED}@"),
    # password=x, "client_secret": "x"
    (
        re.compile(
            r"(?i)(\b(?:[a-z0-9]{1,20}[_-]){0,3}(?:password|passwd|secret|api_?key|"
            r"private_?key(?:_id)?|(?:access|auth|refresh|id|session|security)[_-]?token)"
            r"['\"]?\s{0,4}[:=]\s{0,4}['\"]?)[^\s'\",;&}]+"
        ),
        rf"\1{REDACTED}",
    ),
    # A bare `token` is also the short lease number of a checkpoint: only long ones are hidden.
    (
        re.compile(r"(?i)(\btoken['\"]?\s{0,4}[:=]\s{0,4}['\"]?)[a-z0-9._~+/=-]{16,}"),
        rf"\1{REDACTED}",
    ),
    # Tokens that are known by their form: Google, GitHub, Hugging Face, AWS, Slack, JWT.
    (
        re.compile(
            r"\b(?:ya29\.[\w-]{10,}|AIza[\w-]{30,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|"
            r"hf_[A-Za-z0-9]{20,}|(?:AKIA|ASIA)[A-Z0-9]{16}|xox[abprs]-[\w-]{10,}|"
            r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,})"
        ),
        REDACTED,
    ),
)


def redact(text: str) -> str:
    """The text without what looks like a secret."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def names_a_secret(key: str) -> bool:
    """Whether a field of this name must not show its value."""
    return _SECRET_NAME.match(key) is not None
