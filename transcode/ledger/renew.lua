-- Proves the lease, extends it, stores the progress, and enqueues what the finished parts release. Repeatable.
-- A: job, task, token, lease_ms, progress, parts, follow_ups. Returns 'running', 'cancelled' or 'lost'.
local state = standing(A)
if state == 'cancelled' then return state end
if state ~= 'running' then return 'lost' end
local key = task_key(A.job, A.task)
redis.call('ZADD', P .. 'leases', int(NOW + A.lease_ms), A.job .. '|' .. A.task .. '|' .. A.token)
redis.call('HSET', key, 'progress', A.progress, 'parts', int(A.parts))
enqueue_all(A.job, redis.call('HGET', key, 'film'), A.follow_ups)
return state
