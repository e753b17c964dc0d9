-- A viewer asked into this task: it goes before all others, the newest wish first. Repeatable.
-- A task that is not enqueued yet gets its rank when it is. A: film, task. Returns 1 when it mattered.
local job = redis.call('GET', P .. 'film:' .. A.film)
local jobs_state = job and redis.call('HGET', job_key(job), 'state')
if not jobs_state or not alive(jobs_state) then return 0 end
local key = task_key(job, A.task)
local state, lane = unpack(redis.call('HMGET', key, 'state', 'lane'))
if state and state ~= 'queued' and state ~= 'retrying' then return 0 end
local rank = int(-BAND - redis.call('INCR', P .. 'order'))
if not state then
  redis.call('HSET', job_key(job), 'rank:' .. A.task, rank)
  return 1
end
redis.call('HSET', key, 'rank', rank)
redis.call('ZADD', queue_key(lane), 'XX', rank, job .. '|' .. A.task)
return 1
