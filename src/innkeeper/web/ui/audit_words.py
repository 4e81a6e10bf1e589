"""Actions of the audit log as words: `segment.create` is "created the segment"."""

from typing import Final

_DONE: Final = {
    **{"again": "sent again", "archive": "archived", "change": "changed", "create": "created"},
    **{"delete": "deleted", "discard": "discarded", "download": "downloaded", "edit": "edited"},
    **{"erase": "erased", "invite": "invited", "load": "loaded", "merge": "merged"},
    **{"name": "named", "pause": "paused", "release": "released", "remove": "removed"},
    **{"replay": "replayed", "reset": "emptied", "revoke": "revoked", "rotate": "replaced"},
    **{"run": "ran", "save": "saved", "start": "started", "test": "tested", "undo": "undid"},
}
_SENTENCES: Final = {
    "demo.load": "loaded demo data",
    "guests.download": "downloaded guests as CSV",
    "identity_guards.save": "saved the guards of identity rules",
    "identity_rules.add": "added an identity rule",
    "identity_rules.apply": "applied identity rules to all guests",
    "identity_rules.delete": "deleted an identity rule",
    "identity_rules.reorder": "reordered the identity rules",
    "identity_rules.save": "saved the identity rules",
    "identity_rules.undo": "undid an application of identity rules",
    "key.compatibility": "changed the compatibility of the API key",
    "login.close": "logged out",
    "login.close_all": "ended all other logins",
    "login.failure": "failed to log in",
    "login.open": "logged in",
    "login.refused": "was refused a log-in",
    "privacy.access": "exported what is held about the guest",
    "privacy.erase": "erased a guest",
    "privacy.files": "erased a guest in files",
    "privacy.release": "took identifiers off the block list",
    "privacy.suppress": "added identifiers to the block list",
    "quarantine.correct": "corrected an event in quarantine",
    "quarantine.discard": "discarded events in quarantine",
    "quarantine.replay": "replayed events in quarantine",
    "secrets.reset": "replaced the secrets of the installation",
    "user.link": "made a log-in link for the user",
    "user.password": "changed the password",
    "user.time_zone": "changed the time zone",
    "webhook.again": "sent webhook messages again",
    "webhook.test": "sent a test message to the webhook",
}
_NOUNS: Final = {
    **{"extension": "data extension", "key": "API key", "oauth": "OAuth key"},
    **{"guest_view": "view", "file_export": "export of files"},
}


def done_words(action: str) -> str:
    """Return an action as what somebody did; an unknown one as noun and verb."""
    noun, _, verb = action.partition(".")
    if action in _SENTENCES:
        return _SENTENCES[action]
    noun = _NOUNS.get(noun, noun.replace("_", " "))
    return f"{_DONE[verb]} the {noun}" if verb in _DONE else f"{noun}: {verb.replace('_', ' ')}"
