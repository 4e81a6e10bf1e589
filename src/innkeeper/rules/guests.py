"""Derive fields of a guest from a change, before it is stored."""

from innkeeper.resources.base import Changes, Record, without_nulls


def mirror_email(changes: Changes) -> Changes:
    """Return `changes` with `email` and `emails` made consistent (G-2).

    If only one is present, it sets the other. If both are present and `email` is not in `emails`,
    it is inserted first. Clearing one of them clears both.
    """
    if "email" not in changes and "emails" not in changes:
        return changes
    email, emails = changes.get("email"), changes.get("emails")
    if "emails" not in changes:
        emails = [email] if email is not None else None
    elif "email" not in changes:
        email = emails[0] if emails else None
    elif email is not None and email in (emails or ()):
        return changes
    elif email is not None:
        emails = [email, *(emails or ())]
    return {**changes, "email": email, "emails": emails}


def guest_fields(changes: Changes) -> Record:
    """Return the fields of a complete guest; null counts as absent."""
    fields = without_nulls(changes)
    if "email" in fields and "emails" not in fields:
        fields["emails"] = [fields["email"]]
        return fields
    mirrored = mirror_email(fields)
    return fields if mirrored is fields else without_nulls(mirrored)
