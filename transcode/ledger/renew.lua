-- Extends a lease, stores its progress, and enqueues what the finished parts unblock. Idempotent.
-- A: job, task, token, lease_ms, progress, parts_done, follow_ups. Returns 'running', 'cancelled' or 'lost'.
local status = lease_status(A)
if status == 'cancelled' then return status end
if status ~= 'running' then return 'lost' end
local key = task_key(A.job, A.task)
redis.call('ZADD', P .. 'leases', int(NOW + A.lease_ms), A.job .. '|' .. A.task .. '|' .. A.token)
redis.call('HSET', key, 'progress', A.progress, 'parts', int(A.parts_done))
enqueue_all(A.job, redis.call('HGET', key, 'film'), A.follow_ups)
return status
