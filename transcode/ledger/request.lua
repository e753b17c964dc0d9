-- Requests one segment for a web process: one task, however many processes request it. Idempotent.
-- A: video, task, requester, request_ttl_ms. Returns {'queued' | 'running' | 'retrying' | 'dead', message}.
local job = on_demand_job(A.video)
local key = task_key(job, A.task.id)
local state, message = unpack(redis.call('HMGET', key, 'state', 'error'))
if state == 'dead' then return {state, message or ''} end
if state and not is_live(state) then redis.call('DEL', key) end
local requests = requests_key(A.video, A.task.rendition, int(A.task.index))
redis.call('ZADD', requests, int(NOW + A.request_ttl_ms), A.requester)
redis.call('PEXPIRE', requests, int(A.request_ttl_ms))
if not state or not is_live(state) then
  enqueue(job, A.video, A.task)
  state = 'queued'
end
return {state, ''}
