-- block_list.any
-- Whether the list has any digest.
SELECT EXISTS (SELECT FROM {ws}.block_list) AS some

-- block_list.refuse
-- Which of these digests are suppressed; counts one refusal for each.
UPDATE {ws}.block_list SET refusals = refusals + 1
WHERE digest = ANY (%(digests)s::bytea[])
RETURNING digest

-- block_list.find
-- Which of these digests are suppressed.
SELECT digest FROM {ws}.block_list WHERE digest = ANY (%(digests)s::bytea[])

-- block_list.add
-- Suppress digests.
INSERT INTO {ws}.block_list (digest, reason, actor, created_at)
SELECT digest, %(reason)s, %(actor)s, %(now)s FROM unnest(%(digests)s::bytea[]) AS new (digest)
ON CONFLICT (digest) DO NOTHING

-- block_list.remove
-- Remove digests from the list.
DELETE FROM {ws}.block_list WHERE digest = ANY (%(digests)s::bytea[])

-- block_list.totals
-- The number of digests, and of refusals.
SELECT count(*) AS suppressed, coalesce(sum(refusals), 0)::bigint AS refused FROM {ws}.block_list
