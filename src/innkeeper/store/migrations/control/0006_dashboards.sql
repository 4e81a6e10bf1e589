-- The reports that a user pinned in a workspace, in order.
CREATE TABLE innkeeper.dashboards (
    user_ref uuid NOT NULL REFERENCES innkeeper.users ON DELETE CASCADE,
    workspace text COLLATE "C" NOT NULL REFERENCES innkeeper.workspaces ON DELETE CASCADE,
    -- [{"report": "revenue", "title": "…", "days": 90, "parameters": {"currency": "EUR"}}, …]
    reports jsonb NOT NULL,
    PRIMARY KEY (user_ref, workspace)
);
