"""Choose a field in the picker of the screens, by keys."""

from typing import Any


def pick_field(page: Any, name: str) -> None:
    """Type a field's name into the open picker, and take the first that matches."""
    search = page.get_by_role("combobox", name="Find a field")
    search.wait_for()
    page.locator("#field-options [role=option]").first.wait_for()
    search.fill(name)
    page.locator("#field-options [role=option]", has_text=name).first.wait_for()
    search.press("Enter")
    search.wait_for(state="hidden")
