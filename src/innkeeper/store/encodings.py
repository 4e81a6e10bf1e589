"""Detect the encoding of a text file, by a byte order mark or by reading all of it."""

import codecs
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from innkeeper.store.readers import Unreadable

# Longer marks first: that of UTF-32 starts with that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WESTERN: Final = "cp1252"
_EVIDENCE_BYTES: Final = 64 * 1024
_LEAST_PLAUSIBLE: Final = 0.9
_SYMBOLS: Final = frozenset("€‘’“”„‚–—…•™®©°§£«»·½¼¾²³±´¡¿ªº\xa0")
_TURKISH: Final = frozenset("ÐÝÞðýþ")
"""Letters of Icelandic in Windows-1252, whose bytes are letters of Turkish in Windows-1254."""
_CELL_ENDS: Final = str.maketrans(dict.fromkeys('\t;|\r\n"', ","))
_JOINING: Final = frozenset("’‘´·")
"""Symbols that may occur between two letters."""


def encoding_of_head(head: bytes) -> str:
    """Return the encoding that the first bytes show; `utf-8` if they show none."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    start = head[:4096]
    if not start.count(0):
        return "utf-8"
    # Text of European languages without a mark: the zero bytes stand at fixed positions.
    zeros = [start[offset::4].count(0) * 4 > len(start) * 0.4 for offset in range(4)]
    for pattern, encoding in (
        ((False, True, True, True), "utf-32-le"),
        ((True, True, True, False), "utf-32-be"),
        ((False, True, False, True), "utf-16-le"),
        ((True, False, True, False), "utf-16-be"),
    ):
        if tuple(zeros) == pattern:
            return encoding
    line = start[: start.index(0)].count(b"\n") + 1
    raise Unreadable(
        f"line {line}: has a zero byte, as no text has. Remove it, or export the file again"
    )


@dataclass(slots=True)
class _Evidence:
    """The characters beyond ASCII of a file that should be UTF-8."""

    valid: int = 0
    """Number of characters beyond ASCII that are valid UTF-8."""
    invalid: int = 0
    first_line: int = 0
    """Line of the first bytes that are not UTF-8, from 1."""
    lines: list[bytes] = field(default_factory=list)
    size: int = 0


def decide_encoding(
    lines: Iterable[bytes], encoding: str, *, is_chosen: bool, is_whole: bool = True
) -> tuple[str, str]:
    """Read a file or its start; return its encoding and a note for people, which may be empty.

    Raises `Unreadable` with the line that cannot be decoded. A file without a mark that is not
    UTF-8 is read as `WESTERN` if its characters make sense so, and refused otherwise.
    """
    if encoding == "utf-8" and not is_chosen:
        evidence = _read_utf8(lines)
        return (encoding, "") if not evidence.invalid else _decide(evidence)
    decoder, number = codecs.getincrementaldecoder(encoding)(), 1
    try:
        for line in lines:
            number += decoder.decode(line).count("\n")
        decoder.decode(b"", final=is_whole)
    except UnicodeError as error:
        raise Unreadable(
            f'line {number}: is not valid {encoding}. Save it as UTF-8, or set encoding = "…" '
            "in the mapping"
        ) from error
    return encoding, ""


def _read_utf8(lines: Iterable[bytes]) -> _Evidence:
    evidence, decoder, is_within = _Evidence(), codecs.getincrementaldecoder("utf-8")(), False
    for number, line in enumerate(lines, 1):
        if line.isascii() and not is_within:
            continue
        # A long line comes in pieces, which may part a character.
        is_within = not line.endswith(b"\n")
        try:
            text = decoder.decode(line, final=not is_within)
        except UnicodeDecodeError:
            decoder.reset()
            evidence.first_line = evidence.first_line or number
            evidence.invalid += 1
            if evidence.size < _EVIDENCE_BYTES:
                evidence.lines.append(line[:_EVIDENCE_BYTES])
                evidence.size += len(line)
        else:
            evidence.valid += len(line) - len(text)
    if is_within and decoder.getstate()[0]:
        evidence.invalid += 1
        evidence.first_line = evidence.first_line or number
        evidence.lines.append(line[-_EVIDENCE_BYTES:])
    return evidence


def _decide(evidence: _Evidence) -> tuple[str, str]:
    where = f"line {evidence.first_line}: is not valid UTF-8"
    if evidence.valid > evidence.invalid:
        raise Unreadable(
            f"{where}, though other lines with accents are: it has two encodings. Save it again "
            "as UTF-8"
        )
    sample = b"".join(evidence.lines)
    try:
        text = sample.decode(WESTERN)
    except UnicodeDecodeError:
        text = ""
    if text and _plausibility(text) >= _LEAST_PLAUSIBLE:
        if not _TURKISH.isdisjoint(text):
            raise Unreadable(
                f"{where}. Save it as UTF-8, or set encoding in the mapping: cp1254 if it is "
                f"Turkish, {WESTERN} if it is Icelandic"
            )
        word = _first_word(text)
        return WESTERN, (
            f"Read as Windows-1252 (Western Europe), as line {evidence.first_line} is not UTF-8: "
            f"{word}. If that is wrong, set encoding in the mapping."
        )
    raise Unreadable(
        f"{where}. Save it as UTF-8, or set encoding in the mapping{_proposal(sample)}"
    )


def _plausibility(text: str) -> float:
    """Return the share of characters beyond ASCII that are in positions usual for Western text."""
    total = good = 0
    before = " "
    for character, after in zip(text, text[1:] + " ", strict=True):
        if not character.isascii():
            total += 1
            good += _is_plausible(before, character, after)
        before = character
    return good / total if total else 1.0


def _is_plausible(before: str, character: str, after: str) -> bool:
    if character in _SYMBOLS:
        within = before.isalpha() and after.isalpha()
        opens = character in "‘“„‚«" and (before.isalpha() or not after.strip(","))
        return character in _JOINING and not opens if within else not opens
    if unicodedata.category(character)[0] != "L":
        return False
    # Runs of accented letters, and capitals after small letters, are another encoding.
    is_in_run = (
        not before.isascii() and not after.isascii() and before.isalpha() and after.isalpha()
    )
    return not is_in_run and not (character.isupper() and before.islower())


def _first_word(text: str) -> str:
    at = next(index for index, character in enumerate(text) if not character.isascii())
    words = text[max(0, at - 30) : at + 30].translate(_CELL_ENDS).split(",")
    return next(word.strip() for word in words if not word.isascii())


def _proposal(sample: bytes) -> str:
    """Return the possible encoding, as the end of a sentence."""
    import charset_normalizer  # noqa: PLC0415 - slow to import, and few files need it

    matches = (match.encoding for match in charset_normalizer.from_bytes(sample))
    best = next((name for name in matches if name != WESTERN), "")
    return best and f', perhaps encoding = "{best.replace("mac_iceland", "mac_roman")}"'
