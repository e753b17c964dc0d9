-- A web process wants one segment now: one task, however many want it. Repeatable.
-- A: film, spec, process, interest_ms. Returns {'queued' | 'running' | 'retrying' | 'dead', sentence}.
local job = live_job(A.film)
local key = task_key(job, A.spec.id)
local state, sentence = unpack(redis.call('HMGET', key, 'state', 'error'))
if state == 'dead' then return {state, sentence or ''} end
if state and not alive(state) then redis.call('DEL', key) end
local want = want_key(A.film, A.spec.rendition, int(A.spec.index))
redis.call('ZADD', want, int(NOW + A.interest_ms), A.process)
redis.call('PEXPIRE', want, int(A.interest_ms))
if not state or not alive(state) then
  enqueue(job, A.film, A.spec)
  state = 'queued'
end
return {state, ''}
