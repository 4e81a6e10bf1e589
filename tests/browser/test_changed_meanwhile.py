"""F21: two people change one key in its dialog; the later one sees both, and chooses."""


def test_f21_an_outdated_dialog_shows_both_versions(page, shop) -> None:
    page.go("/settings")
    csrf = page.locator("[name=csrf]").first.input_value()
    settings = f"{shop.url}/w/live/settings"
    key = {"csrf": csrf, "action": "create", "name": "Twice", "scopes": "write"}
    assert page.request.post(settings, form=key).status == 200
    page.go("/settings")
    dialog = page.get_by_role("dialog", name="Scopes of Twice")
    page.get_by_role("row", name="Twice").get_by_role("button", name="Scopes").click()
    theirs = {"csrf": csrf, "action": "scopes", "scopes": "read"}
    for name in ("version", "client_key"):
        theirs[name] = dialog.locator(f"[name={name}]").input_value()
    assert page.request.post(settings, form=theirs).status == 200
    dialog.locator("[value=delete]").check()
    dialog.get_by_role("button", name="Save scopes").click()
    notice = page.get_by_label("Changed meanwhile")
    notice.wait_for()
    assert page.locator("dialog[open]").count() == 0, "nothing hides the question"
    texts = notice.get_by_role("row", name="Scopes").get_by_role("cell").all_inner_texts()
    assert texts[-2:] == ["write, delete", "read"]
    notice.get_by_role("button", name="Save what I typed").click()
    page.get_by_text("The key may write, delete now.").wait_for()
