-- Failed jobs of which their users were told by e-mail.
CREATE TABLE {ws}.failure_mails (job_ref uuid PRIMARY KEY, queued_at timestamptz NOT NULL);
