-- order_contacts.contacts_of
-- An order's contacts with the guests as stored: a consumer may match one of them (ID-7).
SELECT body, guest_ref FROM {ws}.order_contacts WHERE order_ref = %(order)s ORDER BY created_at DESC, ref

-- order_contacts.is_contact
-- Whether a guest is stored as a contact of an order (N-21). A guest merged into it does not count:
-- the link must remain when that merge is undone.
SELECT true AS is_contact FROM {ws}.order_contacts
WHERE order_ref = %(order)s AND guest_ref = %(guest)s LIMIT 1
