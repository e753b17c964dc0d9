-- Opens a job for a video, unless a live one exists. An ended one is replaced. Idempotent.
-- A: video, tasks, closing, total, base. Returns {job, 1 if it is new}.
local old = redis.call('GET', video_key(A.video))
if old then
  local state = redis.call('HGET', job_key(old), 'state')
  if state and is_live(state) then return {old, 0} end
  delete_job(old)
end
local job = A.video .. '.' .. redis.call('INCR', P .. 'serial')
redis.call('SET', video_key(A.video), job)
redis.call('ZADD', P .. 'films', int(NOW), A.video)
redis.call('HSET', job_key(job), 'id', job, 'film', A.video, 'state', 'queued', 'created', int(NOW), 'open', '0',
  'total', A.total, 'base', A.base, 'done', '0', 'last', cjson.encode(A.closing))
enqueue_all(job, A.video, A.tasks)
close_job_if_done(job)
publish_video_changed(A.video)
return {job, 1}
