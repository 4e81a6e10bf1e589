"""What follows from a change to a guest, before it is stored."""

from innkeeper.resources.base import Changes, Record


def mirror_email(changes: Changes) -> Changes:
    """`changes` with `email` and `emails` in agreement (G-2).

    One sent alone fills the other; when both are sent and `email` is not in `emails` it goes
    first. Clearing one alone clears both.
    """
    if "email" not in changes and "emails" not in changes:
        return changes
    email, emails = changes.get("email"), changes.get("emails")
    if "emails" not in changes:
        emails = [email] if email is not None else None
    elif "email" not in changes:
        email = emails[0] if emails else None
    elif email is not None and email not in (emails or ()):
        emails = [email, *(emails or ())]
    return {**changes, "email": email, "emails": emails}


def guest_fields(changes: Changes) -> Record:
    """The fields of a guest told of as a whole: null is as good as absent."""
    return present(mirror_email(present(changes)))


def present(members: Changes) -> Record:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}
