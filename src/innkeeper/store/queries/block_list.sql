-- block_list.any
-- Whether the list has any digest.
SELECT EXISTS (SELECT FROM {ws}.suppressed) AS some

-- block_list.refuse
-- Which of these digests are suppressed; counts one refusal for each.
UPDATE {ws}.suppressed SET refused = refused + 1
WHERE digest = ANY (%(digests)s::bytea[])
RETURNING digest

-- block_list.find
-- Which of these digests are suppressed.
SELECT digest FROM {ws}.suppressed WHERE digest = ANY (%(digests)s::bytea[])

-- block_list.add
-- Suppress digests.
INSERT INTO {ws}.suppressed (digest, reason, actor, created_at)
SELECT digest, %(reason)s, %(actor)s, %(now)s FROM unnest(%(digests)s::bytea[]) AS new (digest)
ON CONFLICT (digest) DO NOTHING

-- block_list.remove
-- Remove digests from the list.
DELETE FROM {ws}.suppressed WHERE digest = ANY (%(digests)s::bytea[])

-- block_list.totals
-- The number of digests, and of refusals.
SELECT count(*) AS suppressed, coalesce(sum(refused), 0)::bigint AS refused FROM {ws}.suppressed
