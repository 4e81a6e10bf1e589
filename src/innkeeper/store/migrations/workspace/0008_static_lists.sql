-- Static lists: named lists of guests, and actions on many guests at once.

CREATE TABLE {ws}.static_lists (
    ref uuid PRIMARY KEY,
    friendly_id text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL,
    description text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    modified_by text NOT NULL,
    modified_at timestamptz NOT NULL
);

-- The guests of a list, as they were added: a merge changes no row, so that its undo need not either.
CREATE TABLE {ws}.static_list_members (
    list_ref uuid NOT NULL REFERENCES {ws}.static_lists ON DELETE CASCADE,
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL,
    PRIMARY KEY (list_ref, guest_ref)
);
CREATE INDEX static_list_members_of_guest ON {ws}.static_list_members (guest_ref);

-- An export reads a segment or a static list.
ALTER TABLE {ws}.exports ADD COLUMN static_list_ref uuid REFERENCES {ws}.static_lists;

-- Actions on many guests: add to a list, remove from it, erase.
CREATE TABLE {ws}.bulk_actions (
    ref uuid PRIMARY KEY,
    action text NOT NULL,
    list_ref uuid REFERENCES {ws}.static_lists ON DELETE CASCADE,
    -- The mode of an erasure, and whether identifiers go to the block list.
    options jsonb NOT NULL DEFAULT '{}',
    -- Which guests; null once they are in bulk_action_guests.
    selection jsonb,
    -- QUEUED, RUNNING, SUCCESS, FAILED
    state text NOT NULL,
    -- Whether a job does it, which users see in the list of long jobs.
    is_queued boolean NOT NULL,
    total bigint NOT NULL,
    changed bigint NOT NULL DEFAULT 0,
    error text,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX bulk_actions_by_age ON {ws}.bulk_actions (created_at, ref);
CREATE INDEX bulk_actions_queued ON {ws}.bulk_actions (created_at, ref) WHERE is_queued;

-- The guests that an action still has to reach.
CREATE TABLE {ws}.bulk_action_guests (
    action_ref uuid NOT NULL REFERENCES {ws}.bulk_actions ON DELETE CASCADE,
    guest_ref uuid NOT NULL REFERENCES {ws}.guests ON DELETE CASCADE,
    PRIMARY KEY (action_ref, guest_ref)
);
CREATE INDEX bulk_action_guests_of_guest ON {ws}.bulk_action_guests (guest_ref);
