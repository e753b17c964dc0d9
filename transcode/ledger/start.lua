-- A new job for a film, unless a live one is there. A finished one is replaced. Repeatable.
-- A: film, tasks, last, total, base. Returns {job, 1 when it is new}.
local old = redis.call('GET', P .. 'film:' .. A.film)
if old then
  local state = redis.call('HGET', job_key(old), 'state')
  if state and alive(state) then return {old, 0} end
  delete_job(old)
end
local job = A.film .. '.' .. redis.call('INCR', P .. 'serial')
redis.call('SET', P .. 'film:' .. A.film, job)
redis.call('ZADD', P .. 'films', int(NOW), A.film)
redis.call('HSET', job_key(job), 'id', job, 'film', A.film, 'state', 'queued', 'created', int(NOW), 'open', '0',
  'total', A.total, 'base', A.base, 'done', '0', 'last', cjson.encode(A.last))
enqueue_all(job, A.film, A.tasks)
close_if_done(job)
film_changed(A.film)
return {job, 1}
