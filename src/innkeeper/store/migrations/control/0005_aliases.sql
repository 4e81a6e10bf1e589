-- What else a client key is called: the context ids of edge paths (stream-api.md 1).

CREATE TABLE innkeeper.client_key_aliases (
    alias text COLLATE "C" PRIMARY KEY,
    client_key text COLLATE "C" NOT NULL REFERENCES innkeeper.api_keys ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
