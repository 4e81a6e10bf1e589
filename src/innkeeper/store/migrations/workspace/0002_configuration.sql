-- What a workspace decides by, with values that work before anyone configures it.

CREATE TABLE {ws}.identity_rules (
    position integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    -- [{"provider": "email"}, …]: identifiers that must all be equal for two guests to be one.
    conditions jsonb NOT NULL
);
INSERT INTO {ws}.identity_rules (position, name, conditions)
VALUES (1, 'email', '[{"provider": "email"}]');

CREATE TABLE {ws}.points_of_sale (
    name text COLLATE "C" PRIMARY KEY,
    market text,
    brand text,
    language text,
    timeout_minutes integer NOT NULL DEFAULT 20 CHECK (timeout_minutes > 0)
);
INSERT INTO {ws}.points_of_sale (name) VALUES ('default');
