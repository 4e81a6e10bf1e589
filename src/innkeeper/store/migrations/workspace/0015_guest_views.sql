-- Saved views of the list of guests: filters, columns and sort under a name.

CREATE TABLE {ws}.guest_views (
    ref uuid PRIMARY KEY,
    name text NOT NULL,
    -- The user or API key that saved it; others see it if it is shared.
    owner text NOT NULL,
    is_shared boolean NOT NULL,
    definition jsonb NOT NULL,
    columns text[] NOT NULL,
    sort text,
    created_at timestamptz NOT NULL,
    modified_at timestamptz NOT NULL
);
