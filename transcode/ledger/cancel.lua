-- Cancels a video's job and its on-demand segments. Idempotent. A: video, keep_ms.
-- Returns how many leases of the video are still held.
local job = redis.call('GET', video_key(A.video))
local state = job and redis.call('HGET', job_key(job), 'state')
if state and is_live(state) then
  end_job(job, 'cancelled')
  cancel_tasks(job)
end
local segments_job = on_demand_job(A.video)
for _, task in ipairs(redis.call('SMEMBERS', tasks_key(segments_job))) do
  cancel_task(segments_job, task)
  local fields = read_hash(task_key(segments_job, task))
  if fields.id then
    fields.error = 'cancelled'
    end_segment(fields, false, A.keep_ms)
  end
end
return active_leases(A.video)
