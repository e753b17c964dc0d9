-- Puts a task before all others, the most recently promoted first, because a viewer seeked into it. Idempotent.
-- A task that is not enqueued yet gets its rank when it is. A: video, task. Returns 1 unless it is too late.
local job = redis.call('GET', video_key(A.video))
local job_state = job and redis.call('HGET', job_key(job), 'state')
if not job_state or not is_live(job_state) then return 0 end
local key = task_key(job, A.task)
local state, queue = unpack(redis.call('HMGET', key, 'state', 'lane'))
if state and state ~= 'queued' and state ~= 'retrying' then return 0 end
local rank = int(-BAND - redis.call('INCR', P .. 'order'))
if not state then
  redis.call('HSET', job_key(job), 'rank:' .. A.task, rank)
  return 1
end
redis.call('HSET', key, 'rank', rank)
redis.call('ZADD', queue_key(queue), 'XX', rank, job .. '|' .. A.task)
return 1
